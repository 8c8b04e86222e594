"""What the columns of a table really hold.

A column declared INTEGER, REAL or TEXT nearly always holds just that, so one quick scan only asks
whether any value does not; where the answer or the declared type asks for more, classes are counted.
Texts are looked at one by one where the declared type, or the first of them, speaks of a format.
Whether a text can be kept at all (NUL, UTF-8) is left to the copy.  Everything is read in pieces of
some ten thousand rows, so that no read holds the application up.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec import structs

from shared.columns import Codec, Unfit
from shared.columns.choice import INFINITE
from shared.columns.times import common_spellings
from shared.columns.words import UUIDS, json_codec, uuid_format
from shared.sqlite.connection import fetch_rows, quote, reading
from shared.tables import ROWID, Census, Column, Table

_STEP = 20_000
Work = TypeVar("Work")
Found = TypeVar("Found")
_ASKS_UUID = re.compile(r"UUID|GUID")
_LIKE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T]|$)")
_UNUSUAL = {
    "INTEGER": "{c} <> CAST({c} AS INTEGER)",
    "REAL": "{c} >= ''",
    "TEXT": "{c} >= x''",
}
"""True of a value of another class than the column's affinity makes (NULL apart): numbers sort before texts, and texts
before BLOBs, and no text or BLOB equals a number.  Quicker than to ask each value for its typeof."""
_COUNTERS = (
    "count(*)",
    "count({c})",
    "sum(typeof({c}) = 'integer')",
    "sum(typeof({c}) = 'real')",
    "sum(typeof({c}) = 'text')",
    "max({c} = 9e999 OR {c} = -9e999)",
)
_ENDS = ("min(CASE typeof({c}) WHEN 'integer' THEN {c} END)", "max(CASE typeof({c}) WHEN 'integer' THEN {c} END)")
_NO_ENDS = ("NULL", "NULL")


class Piece(NamedTuple):
    """A WHERE with its parameters; ``rows`` is 0 where it is not known how many there are."""

    where: str
    bounds: Sequence[Any]
    rows: int = 0


class Each(Protocol):
    """Does a piece of work on each piece, perhaps several at a time; gives what was found in the pieces' order."""

    def __call__(self, work: Callable[[sqlite3.Connection, Work], Found], pieces: Iterable[Work], /) -> Iterator[Found]:
        """What was found, piece by piece."""


def take_census(db: sqlite3.Connection, table: Table, each: Each | None = None) -> Table:
    """The table with each column's census filled in; a column that holds only what is usual counts as full of it."""
    each = each or _one_by_one(db)
    usual = [column for column in table.columns if column.affinity in _UNUSUAL and column.name != ROWID]
    unusual = {column.name for column in table.columns} - {column.name for column in usual}
    rows = 0
    for count, found in each(lambda reader, piece: _look(reader, table, usual, piece), _pieces(table, db)):
        rows += count
        unusual |= found
    counted = _count(db, each, table, unusual) if unusual else {}
    columns = []
    for column in table.columns:
        census = counted.get(column.name) or _all_usual(column, rows)
        if not census.formats:
            census = structs.replace(census, formats=_formats(db, table, column, census))
        columns.append(structs.replace(column, census=census))
    return structs.replace(table, columns=tuple(columns))


def _one_by_one(db: sqlite3.Connection) -> Each:
    def each(work: Callable[[sqlite3.Connection, Work], Found], pieces: Iterable[Work]) -> Iterator[Found]:
        return (work(db, piece) for piece in pieces)

    return each


def _pieces(table: Table, db: sqlite3.Connection) -> Iterator[Piece]:
    """WHERE clauses that together cover the table, each a short read."""
    order = [table.rowid_name] if table.rowid_name else [quote(name) for name in table.key]
    columns, marks = ", ".join(order), ", ".join("?" * len(order))
    after: Sequence[Any] = ()
    while True:
        behind = f"({columns}) > ({marks})" if after else "1"
        tail = f"WHERE {behind} ORDER BY {columns} LIMIT 1 OFFSET {_STEP - 1}"
        with reading(db):
            rows = fetch_rows(db, f"SELECT {columns} FROM {quote(table.name)} {tail}", after)  # noqa: S608
        if not rows:
            yield Piece(behind, after)
            return
        yield Piece(f"{behind} AND ({columns}) <= ({marks})", (*after, *rows[0]), _STEP)
        after = rows[0]


def _rows(db: sqlite3.Connection, table: Table, piece: Piece) -> int:
    with reading(db):
        count = f"SELECT count(*) FROM {quote(table.name)} WHERE {piece.where}"  # noqa: S608
        return int(db.execute(count, piece.bounds).fetchone()[0])


def _look(db: sqlite3.Connection, table: Table, usual: Sequence[Column], piece: Piece) -> tuple[int, set[str]]:
    """How many rows there are, and which of the usual columns hold something else."""
    return piece.rows or _rows(db, table, piece), _strays(db, table, usual, piece)


def _strays(db: sqlite3.Connection, table: Table, usual: Sequence[Column], piece: Piece) -> set[str]:
    tests = {column.name: _UNUSUAL[column.affinity].format(c=quote(column.name)) for column in usual}
    source = f"FROM {quote(table.name)} WHERE {piece.where}"
    if not tests:
        return set()
    with reading(db):
        if not db.execute(f"SELECT 1 {source} AND ({' OR '.join(tests.values())})", piece.bounds).fetchone():
            return set()
        flags = ", ".join(f"max({test})" for test in tests.values())
        found = db.execute(f"SELECT {flags} {source}", piece.bounds).fetchone()
    return {name for name, flag in zip(tests, found, strict=True) if flag}


def _all_usual(column: Column, rows: int) -> Census:
    counts = {"INTEGER": "integers", "REAL": "reals", "TEXT": "texts"}
    return structs.replace(Census(rows=rows), **{counts[column.affinity]: rows})


def _count(db: sqlite3.Connection, each: Each, table: Table, names: Collection[str]) -> dict[str, Census]:
    """Classes counted, for some columns."""
    columns = [column for column in table.columns if column.name in names]
    terms = [term.format(c=_term(table, column)) for column in columns for term in (*_COUNTERS, *_ends(column))]
    total = {column.name: Census() for column in columns}
    width = len(_COUNTERS) + len(_ENDS)

    def count(reader: sqlite3.Connection, piece: Piece) -> Sequence[Any]:
        with reading(reader):
            select = f"SELECT {', '.join(terms)} FROM {quote(table.name)} WHERE {piece.where}"  # noqa: S608
            return fetch_rows(reader, select, piece.bounds)[0]

    for row in each(count, _pieces(table, db)):
        for place, column in enumerate(columns):
            total[column.name] = _add(total[column.name], row[place * width : (place + 1) * width])
    return total


def _ends(column: Column) -> tuple[str, ...]:
    """Lowest and highest integer, asked for where they decide."""
    return _ENDS if "BOOL" in column.declared.upper() else _NO_ENDS


def _term(table: Table, column: Column) -> str:
    return table.rowid_name if column.name == ROWID else quote(column.name)


def _add(census: Census, counted: Sequence[Any]) -> Census:
    rows, filled, integers, reals, texts, infinite, low, high = (value or 0 for value in counted)
    lowest, highest = census.min_integer, census.max_integer
    if integers:
        lowest = low if lowest is None else min(lowest, low)
        highest = high if highest is None else max(highest, high)
    return Census(
        rows=census.rows + rows,
        nulls=census.nulls + rows - filled,
        integers=census.integers + integers,
        reals=census.reals + reals,
        texts=census.texts + texts,
        blobs=census.blobs + filled - integers - reals - texts,
        min_integer=lowest,
        max_integer=highest,
        formats=(INFINITE,) if infinite or census.formats else (),
    )


def _formats(db: sqlite3.Connection, table: Table, column: Column, census: Census) -> tuple[str, ...]:
    """Formats that every value shares; looked for where the declared type, or the first text, makes them matter."""
    declared = column.declared.upper()
    if not census.texts + census.blobs:
        return ()
    if "JSON" in declared:
        codec = json_codec(column.affinity)
        return ("json",) if all(_fits(codec, chunk) for chunk in _chunks(db, table, column)) else ()
    if census.integers or census.reals or (census.texts and census.blobs):
        return ()
    first = _first(db, table, column)
    if first is None:
        return ()
    if found := uuid_format(first) if _ASKS_UUID.search(declared) or census.texts else "":
        return (found,) if all(_fits(UUIDS[found], chunk) for chunk in _chunks(db, table, column)) else ()
    if isinstance(first, str) and _LIKE_TIME.match(first):
        texts = ([value if isinstance(value, str) else "" for value in chunk] for chunk in _chunks(db, table, column))
        return common_spellings(texts, lenient=column.declared.islower())
    return ()


def _fits(codec: Codec, values: Sequence[Any]) -> bool:
    try:
        codec.to_postgres_column(values)
    except Unfit:
        return False
    return True


def _first(db: sqlite3.Connection, table: Table, column: Column) -> object:
    return next((chunk[0] for chunk in _chunks(db, table, column, limit="LIMIT 1")), None)


def _chunks(db: sqlite3.Connection, table: Table, column: Column, limit: str = "") -> Iterator[list[Any]]:
    """The column's values that are not NULL, piece by piece."""
    name = quote(column.name)
    for where, bounds, _ in _pieces(table, db):
        with reading(db):
            select = f"SELECT {name} FROM {quote(table.name)} WHERE {where} AND {name} NOT NULL {limit}"  # noqa: S608
            rows = fetch_rows(db, select, bounds)
        if rows:
            yield [row[0] for row in rows]
