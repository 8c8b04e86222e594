"""A note that each daemon keeps in the state folder: where its metrics are, and why it last stopped.

Only ``status`` and ``run`` read it, as a hint: a note left behind by a killed daemon is recognised
because its metrics no longer answer for that stream.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from shared.errors import BadInput
from shared.redaction import redact


class Presence(msgspec.Struct):
    """The note; ``port`` is None where no metrics are served, ``error`` "" after a clean stop."""

    program: str
    stream: str
    pid: int
    started: float
    port: int | None = None
    bind: str = "127.0.0.1"
    ended: float | None = None
    exit_code: int | None = None
    trouble: str = ""  # what it waits for right now
    error: str = ""  # what ended it

    @classmethod
    def begin(cls, program: str, stream: str) -> Presence:
        """A note of this process."""
        return cls(program, stream, os.getpid(), time.time())

    def end(self, exit_code: int, error: str = "") -> None:
        """Say how it ended."""
        self.ended, self.exit_code, self.error, self.trouble = time.time(), exit_code, redact(error), ""


def note_path(state_dir: Path, stream: str, program: str) -> Path:
    """Where the note stands."""
    return state_dir / f"{stream}.{program}.json"


def write_presence(state_dir: Path, note: Presence) -> None:
    """Put the note in place, whole or not at all; BadInput where the folder cannot be written to."""
    path = note_path(state_dir, note.stream, note.program)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(msgspec.json.encode(note))
        draft.replace(path)
    except OSError as error:
        what = f"the state folder cannot be written to: {error.strerror}"
        raise BadInput(what, where=str(state_dir), remedy="Give another one with --state-dir") from error


def read_presence(state_dir: Path, stream: str, program: str) -> Presence | None:
    """The note, or None where there is none that can be read."""
    try:
        return msgspec.json.decode(note_path(state_dir, stream, program).read_bytes(), type=Presence)
    except (OSError, msgspec.DecodeError):
        return None
