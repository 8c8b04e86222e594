"""One of the checks before a switch, looked at by itself on real databases and a real log."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from inprocess import STREAM
from operations.cutover.prechecks import cutover_checks
from operations.preflight import Result
from shared.control.fold import State
from shared.findings import Finding
from shared.log.opening import open_log_of
from shared.settings import Settings

FORWARD, BACK = State(epoch=0), State(epoch=1)
"""The next switch is to PostgreSQL, or back to SQLite."""


def settings_of(path: Path, dsn: str, stream: str = STREAM, log: str = "") -> Settings:
    """Of that file and database; the log is beside the file, as ``InProcess`` has it."""
    return Settings(
        source=path, target=SecretStr(dsn), stream=stream, log=log or f"embedded:{path.with_name('log.db')}"
    )


def look(name: str, settings: Settings, state: State = FORWARD) -> list[Finding]:
    """What the check of that name finds; what it says is right is left out."""
    return [found for found in _look(name, settings, state) if isinstance(found, Finding)]


def well(name: str, settings: Settings, state: State = FORWARD) -> list[str]:
    """What the check of that name says is right."""
    return [found for found in _look(name, settings, state) if isinstance(found, str)]


def _look(name: str, settings: Settings, state: State) -> list[Result | Finding | str]:
    with closing(open_log_of(settings)) as log:
        [check] = [one for one in cutover_checks(settings, log, state, within_hours=None) if one.name == name]
        return list(check.look())


def codes(found: list[Finding]) -> list[tuple[str, str]]:
    """Level and code of each."""
    return [(finding.level, finding.code) for finding in found]
