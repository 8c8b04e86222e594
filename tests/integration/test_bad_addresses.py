"""A badly written address: no command and no daemon shows a part of the password in it, and nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import QuickCommand
from daemons import Daemon
from fix_migration import BAD_INPUT
from traffic import make_database

SECRET = "RET9"
"""The end of the password ``SEK...RET9``, whatever character stands in its middle."""
COMMANDS = (
    ("check",),
    ("run",),
    ("status",),
    ("status", "--json"),
    ("verify",),
    ("cutover",),
    ("cutover", "--dry-run"),
    ("rollback",),
    ("rehearse",),
    ("abort",),
    ("resume",),
    ("complete", "--yes"),
    ("log", "show"),
    ("uninstall", "--all", "--yes"),
    ("grants", "postgres"),
    ("grants", "kafka"),
)
TARGETS = (
    "u:SEKRET9@h/db",
    "postgresql://u:SEK%RET9@127.0.0.1:1/db",
    "postgresql://u:SEK@RET9@127.0.0.1:1/db",
    "postgresql://u:SEK/RET9@127.0.0.1:1/db",
    "postgresql://u:SEK?RET9@127.0.0.1:1/db",
    "postgresql://u:SEK RET9@127.0.0.1:1/db",
    "postgresql://u@127.0.0.1:1/db?SEKRET9=x",
    "host=127.0.0.1 password=SEK RET9",
)
LOGS = ("kafka://user:SEKRET9@127.0.0.1:1", "KAFKA://user:SEKRET9@127.0.0.1:1", "user:SEK@RET9@127.0.0.1:1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a database in it."""
    make_database(tmp_path / "app.db", bulk=10)
    return tmp_path


def _wrong() -> list[tuple[str, dict[str, str]]]:
    """Each address, with what the answer must name."""
    good = "postgresql://u@127.0.0.1:1/db"
    return [
        *(("target_password_file", {"target": target}) for target in TARGETS),
        *(("sasl_password_file", {"target": good, "log": log}) for log in LOGS),
    ]


@pytest.mark.parametrize(("remedy", "given"), _wrong())
def test_no_part_of_the_password_is_shown(folder: Path, remedy: str, given: dict[str, str]) -> None:
    command = QuickCommand(folder, source=folder / "app.db", **given)
    before = sorted(folder.rglob("*"))
    for words in COMMANDS:
        said = command(*words)
        shown = said.out + said.errors
        assert said.code == BAD_INPUT, (words, shown)
        assert SECRET not in shown, words
        last = said.errors.splitlines()[-1]
        assert last.startswith("switchback: "), words
        assert remedy in last, words
    for name in ("capture", "sink", "topics"):
        daemon = Daemon(name, {"source": str(folder / "app.db"), **given}, folder)
        daemon.start()
        daemon.assert_ended(BAD_INPUT, remedy)
        assert SECRET not in daemon.output
        (folder / f"{name}.txt").unlink()
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("target", TARGETS)
def test_init_writes_no_badly_written_address_down(folder: Path, target: str) -> None:
    said = QuickCommand(folder)("init", "--target", target)
    assert said.code == BAD_INPUT
    assert SECRET not in said.out + said.errors
    assert not (folder / "switchback.toml").exists()
