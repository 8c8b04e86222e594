"""Hooks: programs of the operator's own, one for each phase, with the facts in their environment.

They stand in the folder ``hooks`` under the name of the phase:

    before    nothing has happened yet; if it fails, nothing will
    opened    the new primary takes writes, and the env file says so
    aborted   the attempt was given up; the old primary takes writes as before

None runs while writers wait: whatever it did, they would wait for it.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from operations.screen import complain, tell
from shared.control.fold import side_of
from shared.errors import BadInput
from shared.redaction import redact
from shared.settings import Settings

PHASES = ("before", "opened", "aborted")
_SHOWN_LINES = 200
_SHOWN_BYTES = 100_000


def facts_of(settings: Settings, epoch: int, *, rehearsal: bool, reason: str = "", attempt: str = "") -> dict[str, str]:
    """The environment of the hooks about the change to ``epoch``; ``PHASE`` and ``PRIMARY`` hang on the phase."""
    return {
        "SWITCHBACK_STREAM": settings.stream,
        "SWITCHBACK_SOURCE": str(settings.source),
        "SWITCHBACK_EPOCH": str(epoch),
        "SWITCHBACK_DIRECTION": "forward" if side_of(epoch) == "postgres" else "back",
        "SWITCHBACK_REHEARSAL": "yes" if rehearsal else "no",
        "SWITCHBACK_ATTEMPT": attempt,
        "SWITCHBACK_REASON": redact(reason),
    }


def run_hook(settings: Settings, phase: str, facts: Mapping[str, str]) -> bool:
    """Run the phase's program, if there is one; whether all went well.

    Raises BadInput for ``before``, which so stops the cutover; trouble of the others is only told.
    """
    if settings.hooks is None:
        return True
    folder = settings.hooks.expanduser().absolute()
    try:
        _check_folder(folder)
        hook = folder / phase
        if os.path.lexists(hook):
            _run(hook, _environment(phase, facts), settings.hook_seconds)
    except BadInput as error:
        if phase == "before":
            raise
        complain(str(error))
        return False
    return True


def _check_folder(folder: Path) -> None:
    """A hook under a misspelt name would never run, and nobody would know."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and os.access(entry, os.X_OK))
    except OSError as error:
        what = f"the folder of hooks cannot be read: {error.strerror}"
        raise BadInput(what, where=str(folder), remedy="Make it, or change the setting hooks") from error
    for name in names:
        if "." not in name and not name.endswith("~") and name not in PHASES:
            remedy = f"Hooks are named {', '.join(PHASES)}; other programs need a dot in their names"
            raise BadInput(f"there is no phase {name!r}", where=str(folder / name), remedy=remedy)


def _environment(phase: str, facts: Mapping[str, str]) -> dict[str, str]:
    epoch = int(facts["SWITCHBACK_EPOCH"])
    primary = side_of(epoch if phase == "opened" else epoch - 1)
    return {**os.environ, **facts, "SWITCHBACK_PHASE": phase, "SWITCHBACK_PRIMARY": primary}


def _run(hook: Path, environment: Mapping[str, str], seconds: float) -> None:
    """Its output goes through a file: a process that it leaves in the background would keep a pipe open."""
    with tempfile.TemporaryFile() as output:
        process = _start(hook, environment, output)
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        last = _show(hook, output)
    if code != 0:
        how = f"took longer than {seconds:g} s" if code is None else _ending(code)
        raise BadInput(f"the hook {how}{last and ': '}{last}", where=str(hook))


def _start(hook: Path, environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [str(hook)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BadInput(f"the hook cannot be run: {_why(hook, error)}", where=str(hook)) from error


def _why(hook: Path, error: OSError) -> str:
    if error.errno == errno.EACCES and hook.is_file() and not os.access(hook, os.X_OK):
        return "it is not executable (chmod +x)"
    if error.errno == errno.ENOENT and hook.exists():
        return "its first line names an interpreter that is not there"
    if error.errno == errno.ENOEXEC:
        return "it is no program, and its first line names no interpreter (#!/bin/sh)"
    return error.strerror or "unknown"


def _ending(code: int) -> str:
    return f"failed with code {code}" if code > 0 else f"was ended by signal {-code}"


def _show(hook: Path, output: IO[bytes]) -> str:
    """Say what it said; returns the last line."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _SHOWN_BYTES))
    lines = [line.rstrip() for line in output.read().decode("utf-8", "replace").splitlines() if line.strip()]
    for line in lines[-_SHOWN_LINES:]:
        tell(f"  {hook.name}: {line}", "dim")
    return redact(lines[-1]) if lines else ""
