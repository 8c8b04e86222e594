"""What verification found: one finding a differing column or row, a bounded number of them, and counts.  Pure.

Values are shown as SQL literals, since those tell the storage classes apart: ``1`` ``1.0`` ``'1'`` ``X'31'``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from shared.groups import RawText

KEPT = 1_000
"""How many findings are kept with their values; the rest is counted."""

_SHOWN = 80
Kind = Literal["missing", "extra", "differs", "unsettled"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A value of PostgreSQL's that is no value of this column in SQLite: equal to nothing there."""

    shown: str


class Finding(Struct, frozen=True):
    """One difference.

    ``missing`` is a row that the replica lacks, ``extra`` one that only the replica has, ``differs`` a
    column whose two values are not the same (``source`` is the primary's), ``unsettled`` a row that kept
    changing while it was looked at.  ``keys`` are the key's values themselves (none where SQLite
    cannot hold them), ``key`` shows them.
    """

    kind: Kind
    table: str
    key: str
    keys: tuple[Any, ...]
    column: str = ""
    source: str = ""
    source_class: str = ""
    replica: str = ""
    replica_class: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """In a line, without the row's values: it goes into the log, and to hooks."""
        return f"table {self.table}, key {self.key}: {_SAID[self.kind].format(self.column)}"


_SAID: dict[Kind, str] = {
    "missing": "the replica lacks the row",
    "extra": "only the replica has the row",
    "differs": "column {} differs",
    "unsettled": "the row kept changing",
}


class Findings:
    """What is known to be wrong, by row; the rows behind the first ``KEPT`` are only counted."""

    def __init__(self, kept: Iterable[Finding] = (), others: int = 0) -> None:
        self._rows: dict[object, list[Finding]] = {}
        for finding in kept:
            self._rows.setdefault(_name(finding), []).append(finding)
        self.others = others

    def looked_at(self, table: str, keys: Iterable[Sequence[Any]], wrong: Iterable[list[Finding]]) -> None:
        """These keys were looked at, and these rows among them are wrong: what was known of them before is void."""
        for key in keys:
            self._rows.pop((table, tuple(key)), None)
        for row in wrong:
            if len(self._rows) < KEPT:
                self._rows[_name(row[0])] = row
            else:
                self.others += 1

    @property
    def kept(self) -> list[Finding]:
        """The findings that are known with their values."""
        return [finding for row in self._rows.values() for finding in row]

    @property
    def rows(self) -> int:
        """How many rows are wrong."""
        return len(self._rows) + self.others

    def keys(self) -> dict[str, list[tuple[Any, ...]]]:
        """The keys of the rows that are kept, by table."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for first, *_ in self._rows.values():
            found.setdefault(first.table, []).append(first.keys)
        return found


def _name(finding: Finding) -> object:
    return (finding.table, finding.keys or finding.key)


def missing(table: str, key: Sequence[Any], reason: str = "") -> list[Finding]:
    """The replica lacks the row."""
    return [Finding("missing", table, show_key(key), _plain(key), reason=reason)]


def extra(table: str, key: Sequence[Any], reason: str = "") -> list[Finding]:
    """Only the replica has the row."""
    return [Finding("extra", table, show_key(key), _plain(key), reason=reason)]


def unsettled(table: str, key: Sequence[Any]) -> list[Finding]:
    """The row changed faster than both sides could be read at one position."""
    reason = "it kept changing, and the changes in between were pruned before they could be read"
    return [Finding("unsettled", table, show_key(key), _plain(key), reason=reason)]


def differs(
    table: str, key: Sequence[Any], names: Sequence[str], source: Sequence[Any], replica: Sequence[Any]
) -> list[Finding]:
    """One finding for each column whose values are not the same."""
    shown, keys = show_key(key), _plain(key)
    return [
        Finding("differs", table, shown, keys, name, *_side(mine), *_side(theirs))
        for name, mine, theirs in zip(names, source, replica, strict=True)
        if repr(mine) != repr(theirs)
    ]


def _side(value: object) -> tuple[str, str]:
    return show(value), storage_class(value)


def storage_class(value: object) -> str:
    """SQLite's name for it; what no SQLite value is, is of PostgreSQL alone."""
    names = {int: "INTEGER", float: "REAL", str: "TEXT", RawText: "TEXT", bytes: "BLOB", type(None): "NULL"}
    return names.get(type(value), "none of SQLite's")


def show(value: object) -> str:
    """A value as an SQL literal, shortened."""
    text = _literal(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def show_key(key: Sequence[object]) -> str:
    """A key's values, shortened."""
    return ", ".join(map(show, key))


def _plain(key: Sequence[Any]) -> tuple[Any, ...]:
    return () if any(isinstance(value, Foreign) for value in key) else tuple(key)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        quoted = value[:_SHOWN].replace("'", "''")
        return f"'{quoted}'" if len(value) <= _SHOWN else f"'{quoted}…' ({len(value):,} characters)"
    if isinstance(value, bytes):
        return f"X'{value[:_SHOWN].hex().upper()}'"
    if isinstance(value, RawText):
        return f"CAST(X'{value.raw[:_SHOWN].hex().upper()}' AS TEXT)"
    return value.shown if isinstance(value, Foreign) else repr(value)
