"""The door to apsw: its errors in our words.  SQLite's own messages name columns and never show a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from shared.errors import BadInput, Hold, Retry, Stop, SwitchbackError
from sink.replica import Unsettled

Values = tuple[Any, ...]

BUSY = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)
_FILE = (apsw.CantOpenError, apsw.NotADBError, apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError)
_CHANGE = "The primary holds what SQLite cannot: change the row there, or drop that constraint of the SQLite file"
_SHOWN = 60  # characters of a key in a message
_UNKNOWN = re.compile(r"no such (?:function|collation sequence|module)|unknown (?:function|tokenizer)")


@contextmanager
def translated(path: Path, where: str = "") -> Iterator[None]:
    """Apsw's errors as BadInput, Retry, Stop or Hold; ``where`` says what was being done."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, path, where) from error


def translate(error: apsw.Error, path: Path, where: str = "") -> SwitchbackError:
    """One error."""
    place = f"{path}, {where}" if where else str(path)
    if isinstance(error, BUSY):
        what = "another program has kept the SQLite file locked"
        remedy = "Find the transaction that is kept open (a shell, a backup, a long read)"
        return Retry(what, where=place, remedy=remedy)
    if isinstance(error, apsw.ConstraintError):
        return _refused(error, place)
    if isinstance(error, _FILE):
        what = f"the SQLite file cannot be opened or written to: {error}"
        remedy = "Give this user write access to the file and to its folder"
        return BadInput(what, where=place, remedy=remedy)
    if isinstance(error, apsw.FullError):
        return Retry("the disk is full", where=place, remedy="Free some space")
    if isinstance(error, apsw.IOError):
        return Stop(f"reading or writing the SQLite file failed: {error}", where=place, remedy="Check the disk")
    if isinstance(error, apsw.CorruptError):
        remedy = "Run `PRAGMA integrity_check` and restore or repair the file first"
        return Stop(f"the SQLite file is damaged: {error}", where=place, remedy=remedy)
    if _UNKNOWN.search(str(error)):
        what = f"SQLite cannot write here without something that only the application registers: {error}"
        remedy = "Drop the index or the generated column that needs it, or leave the table out"
        return Stop(what, where=place, remedy=remedy)
    return Stop(f"SQLite refused: {error}", where=place, remedy="Look at the table, and report this")


def _refused(error: apsw.ConstraintError, place: str) -> Hold:
    return Hold(f"SQLite cannot take a row: {error}", where=place, remedy=_CHANGE)


def in_the_way(error: apsw.ConstraintError, path: Path, table: str, key: Values) -> Unsettled:
    """A constraint does not let a row in."""
    place = f"{path}, table {table}, key {_shown(key)}"
    return Unsettled(f"SQLite cannot take a row: {error}", where=place, remedy=_CHANGE)


def same_to_sqlite(path: Path, table: str, key: Values, other: Sequence[Any]) -> Unsettled:
    """Two rows of PostgreSQL would be one; ``other`` is the key that is there, as class and bytes of each column."""
    there = tuple(_value(kind, raw) for kind, raw in zip(other[::2], other[1::2], strict=True))
    what = "PostgreSQL has two rows whose keys are one and the same to SQLite"
    place = f"{path}, table {table}, key {_shown(key)} and key {_shown(there)}"
    remedy = "Change one of the keys in PostgreSQL and start the sink again; nothing is lost, the stream waits"
    return Unsettled(what, where=place, remedy=remedy)


def _shown(key: Values) -> str:
    return ", ".join(repr(value)[:_SHOWN] for value in key)


def _value(kind: str, raw: bytes | None) -> object:
    if raw is None or kind == "blob":
        return raw
    text = raw.decode(errors="replace")
    return text if kind == "text" else {"integer": int, "real": float}[kind](text)
