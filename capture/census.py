"""What the columns of a table really hold.

A column declared INTEGER, REAL or TEXT nearly always holds just that, so one quick scan only asks
whether any value does not; where the answer or the declared type asks for more, classes are counted and
texts looked at one by one.  Everything is read in pieces of some ten thousand rows, so that no read
holds the application up.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from msgspec import structs

from shared.columns import Codec
from shared.columns.times import common_spellings
from shared.columns.words import UUIDS, is_json, uuid_format
from shared.groups import RawText
from shared.sqlite.connection import fetch_rows, quote, reading
from shared.tables import ROWID, Census, Column, Table

_STEP = 20_000
_CLOSE_LOOK = re.compile(r"DATE|TIME|JSON|UUID|GUID")
_USUAL = {"INTEGER": "integer", "REAL": "real", "TEXT": "text"}
_COUNTERS = (
    "count(*)",
    "count({c})",
    "sum(typeof({c}) = 'integer')",
    "sum(typeof({c}) = 'real')",
    "sum(typeof({c}) = 'text')",
    "sum(typeof({c}) = 'blob')",
    "min(CASE typeof({c}) WHEN 'integer' THEN {c} END)",
    "max(CASE typeof({c}) WHEN 'integer' THEN {c} END)",
)
Piece = tuple[str, Sequence[Any]]


def take_census(db: sqlite3.Connection, table: Table) -> Table:
    """The table with each column's census filled in; a column that holds only what is usual counts as full of it."""
    usual = [column for column in table.columns if column.affinity in _USUAL and column.name != ROWID]
    unusual = {column.name for column in table.columns} - {column.name for column in usual}
    rows = 0
    for piece in _pieces(table, db):
        count, strange = _look(db, table, usual, piece)
        rows += count
        unusual |= strange
    counted = _count(db, table, unusual) if unusual else {}
    columns = []
    for column in table.columns:
        census = counted.get(column.name) or _all_usual(column, rows)
        census = structs.replace(census, formats=_formats(db, table, column, census))
        columns.append(structs.replace(column, census=census))
    return structs.replace(table, columns=tuple(columns))


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
            yield behind, after
            return
        yield f"{behind} AND ({columns}) <= ({marks})", (*after, *rows[0])
        after = rows[0]


def _look(db: sqlite3.Connection, table: Table, usual: Sequence[Column], piece: Piece) -> tuple[int, set[str]]:
    """How many rows there are, and which of the usual columns hold something else."""
    where, bounds = piece
    tests = {c.name: f"{quote(c.name)} NOT NULL AND typeof({quote(c.name)}) <> '{_USUAL[c.affinity]}'" for c in usual}
    source = f"FROM {quote(table.name)} WHERE {where}"
    with reading(db):
        rows = int(db.execute(f"SELECT count(*) {source}", bounds).fetchone()[0])
        if not tests or not db.execute(f"SELECT 1 {source} AND ({' OR '.join(tests.values())})", bounds).fetchone():
            return rows, set()
        flags = ", ".join(f"max({test})" for test in tests.values())
        found = db.execute(f"SELECT {flags} {source}", bounds).fetchone()
    return rows, {name for name, flag in zip(tests, found, strict=True) if flag}


def _all_usual(column: Column, rows: int) -> Census:
    counts = {"INTEGER": "integers", "REAL": "reals", "TEXT": "texts"}
    return structs.replace(Census(rows=rows), **{counts[column.affinity]: rows})


def _count(db: sqlite3.Connection, table: Table, names: Collection[str]) -> dict[str, Census]:
    """Classes counted, for some columns."""
    columns = [column for column in table.columns if column.name in names]
    terms = [term.format(c=_term(table, column)) for column in columns for term in _COUNTERS]
    total = {column.name: Census() for column in columns}
    width = len(_COUNTERS)
    for where, bounds in _pieces(table, db):
        with reading(db):
            row = db.execute(f"SELECT {', '.join(terms)} FROM {quote(table.name)} WHERE {where}", bounds).fetchone()  # noqa: S608
        for place, column in enumerate(columns):
            total[column.name] = _add(total[column.name], row[place * width : (place + 1) * width])
    return total


def _term(table: Table, column: Column) -> str:
    return table.rowid_name if column.name == ROWID else quote(column.name)


def _add(census: Census, counted: Sequence[Any]) -> Census:
    rows, filled, integers, reals, texts, blobs, low, high = (value or 0 for value in counted)
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
        blobs=census.blobs + blobs,
        min_integer=lowest,
        max_integer=highest,
    )


def _formats(db: sqlite3.Connection, table: Table, column: Column, census: Census) -> tuple[str, ...]:
    """Formats that every value shares; only looked for where the declared type makes them matter."""
    declared = column.declared.upper()
    if not _CLOSE_LOOK.search(declared) or census.integers or census.reals or not census.texts + census.blobs:
        return ()
    values = _values(db, table, column)
    if "JSON" in declared:
        return ("json",) if all(isinstance(value, str) and is_json(value) for value in values) else ()
    if "UUID" in declared or "GUID" in declared:
        return _shared_uuid(values)
    return common_spellings(value if isinstance(value, str) else "" for value in values)


def _shared_uuid(values: Iterator[Any]) -> tuple[str, ...]:
    first = next(values, "")
    name = "" if isinstance(first, RawText) else uuid_format(first)
    return (name,) if name and all(_fits(UUIDS[name], value) for value in values) else ()


def _fits(codec: Codec, value: object) -> bool:
    try:
        codec.to_postgres(value)
    except ValueError:
        return False
    return True


def _values(db: sqlite3.Connection, table: Table, column: Column) -> Iterator[Any]:
    """The column's values that are not NULL, piece by piece."""
    for where, bounds in _pieces(table, db):
        with reading(db):
            select = f"SELECT {quote(column.name)} FROM {quote(table.name)} WHERE {where}"  # noqa: S608
            rows = fetch_rows(db, select, bounds)
        yield from (row[0] for row in rows if row[0] is not None)
