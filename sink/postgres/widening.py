"""Widening: a column that we made gets a type that takes a value which the application wrote later.

A strict type is a guess from what a column held.  When another spelling comes (a time without fraction, a 2 in
a BOOLEAN, a text in an INTEGER column), the column changes its type inside the transaction that writes
the value, and every row that is there keeps its SQLite value to the bit: it is decoded as it was encoded
and encoded anew, or, where PostgreSQL says the same in one expression, cast by it.  The schema that is kept
beside the ledger learns of the classes held, so that whoever reads the column chooses the codec of the new type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from msgspec import structs
from psycopg import sql

from shared.columns import Codec, Unfit, codec_for, storage_class
from shared.columns.times import Spelling
from shared.errors import Hold, Stop
from shared.findings import Finding
from shared.groups import RawText
from shared.tables import Column, Table
from sink.postgres.defaults import translate_default
from sink.postgres.indexes import add_indexes_on
from sink.postgres.plan import Misfit, TablePlan

_COUNTS = {int: "integers", float: "reals", str: "texts", RawText: "texts", bytes: "blobs"}
_FRACTIONS = {"0": "", "3": ".MS", "6": ".US"}
_PAGE = 10_000
_MAP = sql.SQL("CREATE TEMPORARY TABLE _switchback_widened (old text, new {}) ON COMMIT DROP")
_LOOK_UP = sql.SQL(
    "CREATE FUNCTION pg_temp._switchback_widen(text) RETURNS {} LANGUAGE sql STABLE AS"
    " 'SELECT new FROM pg_temp._switchback_widened WHERE old = $1'"
)
_FORGET = "DROP FUNCTION pg_temp._switchback_widen(text); DROP TABLE pg_temp._switchback_widened"
_STANDING = sql.SQL("SELECT DISTINCT ON ({0}::text) {0}::text, {0} FROM {1} WHERE {0} IS NOT NULL")
_FOREIGN_KEYS = """
SELECT c.conrelid::regclass::text, quote_ident(c.conname), c.conname
  FROM pg_constraint AS c
  JOIN pg_attribute AS a ON a.attrelid = to_regclass(%(table)s) AND a.attname = %(column)s
 WHERE c.contype = 'f'
   AND (c.conrelid = a.attrelid AND a.attnum = ANY (c.conkey)
        OR c.confrelid = a.attrelid AND a.attnum = ANY (c.confkey))
"""
_INDEXES = """
SELECT DISTINCT i.indexrelid::regclass::text, x.relname
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %(column)s
  JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjsubid = a.attnum
                     AND d.refobjid = a.attrelid
 WHERE i.indrelid = to_regclass(%(table)s) AND NOT i.indisprimary
   AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
"""


@dataclass(frozen=True, slots=True)
class Widened:
    """What a widening left: the table with what its column holds now, and what is to be told."""

    table: Table
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class _Step:
    """One column on its way from one type to another."""

    table: Table
    column: Column
    old_type: str
    old: Codec
    new_type: str
    new: Codec

    @property
    def names(self) -> dict[str, sql.Composable]:
        """For statements: the table, the column."""
        return {"table": sql.Identifier(self.table.name), "column": sql.Identifier(self.column.name)}

    @property
    def where(self) -> str:
        """For messages."""
        return f"table {self.table.name}, column {self.column.name}"


def widen(db: psycopg.Connection[Any], misfit: Misfit) -> Widened:
    """Give the column a type that takes all of the misfit's values, in the caller's transaction.

    Raises Hold where PostgreSQL does not let the column change (a view that reads it).
    """
    plan, place = misfit.plan, misfit.place
    at, column = plan.places.index(place), plan.table.columns[place]
    filled = _is_filled(db, plan.table.name, column.name)
    classes = {type(value) for value in misfit.values if value is not None} | _held(column)
    if filled:
        classes |= set(plan.codecs[at].accepts)
    grown = _with_classes(column, classes)
    table = _with_column(plan, place, grown)
    for new_type in _candidates(grown, classes):
        step = _Step(table, grown, plan.types[at], plan.codecs[at], new_type, codec_for(grown, new_type))
        if _takes(step.new, misfit.values):
            found = _try(db, step, filled=filled)
            if found is not None:
                return Widened(table, [_told(step, misfit), *found])
    raise misfit.hold


def _is_filled(db: psycopg.Connection[Any], table: str, column: str) -> bool:
    look = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} IS NOT NULL)")
    row = db.execute(look.format(sql.Identifier(table), sql.Identifier(column))).fetchone()
    return bool(row and row[0])


def _held(column: Column) -> set[type]:
    """What the census found, whose rows may still be on their way."""
    return {kind for kind, count in _COUNTS.items() if kind is not RawText and getattr(column.census, count)}


def _with_classes(column: Column, classes: set[type]) -> Column:
    counts = {_COUNTS[kind] for kind in classes}
    census = structs.replace(column.census, **{name: max(1, getattr(column.census, name)) for name in counts})
    return structs.replace(column, census=census)


def _with_column(plan: TablePlan, place: int, column: Column) -> Table:
    columns = plan.table.columns
    return structs.replace(plan.table, columns=(*columns[:place], column, *columns[place + 1 :]))


def _candidates(column: Column, classes: set[type]) -> Iterator[str]:
    """Types to try, the closest first; text, and bytea for texts that text cannot keep, take everything."""
    if classes <= {int} and column.affinity != "REAL":
        yield "bigint"
    if classes <= {int, float} and column.affinity in ("INTEGER", "NUMERIC"):
        yield "numeric"
    if classes <= {float}:
        yield "double precision"
    if classes <= {bytes}:
        yield "bytea"
    yield "text"
    yield "bytea"


def _takes(codec: Codec, values: Sequence[Any]) -> bool:
    try:
        codec.to_postgres_column(values)
    except Unfit:
        return False
    return True


def _try(db: psycopg.Connection[Any], step: _Step, *, filled: bool) -> list[Finding] | None:
    """Change the type; None, and nothing done, where a row that is there has a value for which the new one is none."""
    try:
        with db.transaction():
            if not filled:
                return _alter(db, step, sql.SQL("NULL"))
            simple = _expression(step)
            return _alter(db, step, sql.SQL(simple).format(**step.names)) if simple else _encode_anew(db, step)
    except Unfit:
        return None


def _expression(step: _Step) -> str:
    """The new value in PostgreSQL's words, "" where they would not say it exactly."""
    old, new = step.old_type, step.new_type
    if old in ("smallint", "integer", "bigint") and new in ("bigint", "numeric"):
        return f"{{column}}::{new}"
    if old == "boolean" and new in ("bigint", "numeric", "text"):
        return f"{{column}}::integer::{new}"
    if new != "text":
        return ""
    if old == "date":
        return "to_char({column}, 'YYYY-MM-DD')"
    return _time_expression(step) if old.startswith("timestamp") and "(" not in old else ""


def _time_expression(step: _Step) -> str:
    names = [name for name in step.column.census.formats if name.startswith("time|")]
    spelling = Spelling.named(names[0]) if names else None
    if spelling is None or spelling.fraction not in _FRACTIONS:
        return ""
    moment = "{column} AT TIME ZONE 'UTC'" if "with time zone" in step.old_type else "{column}"
    fraction = _FRACTIONS[spelling.fraction]
    suffix = f'"{spelling.suffix}"' if spelling.suffix else ""
    return f"to_char({moment}, 'YYYY-MM-DD\"{spelling.separator}\"HH24:MI:SS{fraction}{suffix}')"


def _encode_anew(db: psycopg.Connection[Any], step: _Step) -> list[Finding]:
    """By way of a map from each value, in PostgreSQL's text of it, to the new one."""
    db.execute(_MAP.format(sql.SQL(step.new_type)))
    changed = step.old_type != step.new_type
    with db.cursor("_switchback_standing", binary=True) as standing:
        standing.execute(_STANDING.format(sql.Identifier(step.column.name), sql.Identifier(step.table.name)))
        while page := standing.fetchmany(_PAGE):
            texts, values = zip(*page, strict=True)
            encoded = step.new.to_postgres_column([step.old.to_sqlite(value) for value in values])
            changed = changed or list(encoded) != list(values)
            _keep(db, step, zip(texts, encoded, strict=True))
    db.execute(_LOOK_UP.format(sql.SQL(step.new_type)))
    found: list[Finding] = []
    if changed:
        db.execute("CREATE INDEX ON pg_temp._switchback_widened USING hash (old)")
        found = _alter(db, step, sql.SQL("pg_temp._switchback_widen({column}::text)").format(**step.names))
    db.execute(_FORGET)
    return found


def _keep(db: psycopg.Connection[Any], step: _Step, pairs: Iterator[tuple[str, Any]]) -> None:
    with db.cursor() as cursor, cursor.copy("COPY pg_temp._switchback_widened FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["text", step.new.oid])
        for pair in pairs:
            copy.write_row(pair)


def _alter(db: psycopg.Connection[Any], step: _Step, using: sql.Composable) -> list[Finding]:
    """Alter the column; foreign keys and indexes that keep it from changing make way, which is reported."""
    before = _nulls(db, step)
    found: list[Finding] = []
    indexes: set[str] = set()
    while True:
        try:
            with db.transaction():
                found += _change_type(db, step, using)
            break
        except psycopg.ProgrammingError as error:
            keys = _drop_foreign_keys(db, step) if isinstance(error, psycopg.errors.DatatypeMismatch) else []
            dropped = set() if keys else _drop_indexes(db, step)
            if not (keys or dropped):
                raise
            found, indexes = found + keys, indexes | dropped
        except psycopg.NotSupportedError as error:
            what = f"a value needs a wider type, and PostgreSQL does not change it: {error.diag.message_primary}"
            remedy = "Drop what reads the column (a view, a rule, a generated column), start again, and make it anew"
            raise Hold(what, where=step.where, remedy=remedy) from error
    if _nulls(db, step) != before:
        remedy = "Nothing was committed; please report this"
        raise Stop("widening a column lost values", where=step.where, remedy=remedy)
    return found + (_make_indexes_again(db, step, indexes) if indexes else [])


def _make_indexes_again(db: psycopg.Connection[Any], step: _Step, dropped: set[str]) -> list[Finding]:
    found = add_indexes_on(db, step.table, step.column.name)
    there = {name for _, name in db.execute(_INDEXES, _looked_for(step))}
    what = "the index {} is dropped, since it does not fit the new type"
    remedy = "Make it by hand for the new type"
    gone = sorted(dropped - there)
    return found + [Finding("warn", "index-dropped", what.format(name), step.where, remedy) for name in gone]


def _nulls(db: psycopg.Connection[Any], step: _Step) -> int:
    row = db.execute(sql.SQL("SELECT count(*) FROM {table} WHERE {column} IS NULL").format(**step.names)).fetchone()
    return int(row[0]) if row else 0


def _change_type(db: psycopg.Connection[Any], step: _Step, using: sql.Composable) -> list[Finding]:
    default, found = translate_default(step.table, step.column, step.new_type)
    spelled = 'text COLLATE "C"' if step.new_type == "text" else step.new_type
    statement = sql.SQL(
        "ALTER TABLE {table} ALTER {column} DROP DEFAULT, ALTER {column} TYPE {type} USING {using}{default}"
    ).format(
        type=sql.SQL(spelled),
        using=using,
        default=sql.SQL(", ALTER {} SET DEFAULT {}").format(step.names["column"], sql.SQL(default))
        if default
        else sql.SQL(""),
        **step.names,
    )
    db.execute(statement)
    return found


def _drop_foreign_keys(db: psycopg.Connection[Any], step: _Step) -> list[Finding]:
    found = []
    for table, quoted, name in db.execute(_FOREIGN_KEYS, _looked_for(step)).fetchall():
        db.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted}".encode())
        what = f"the foreign key {name} of {table} is dropped, since the types no longer fit"
        found.append(Finding("warn", "foreign-key-dropped", what, step.where, "Add it by hand, with types that fit"))
    return found


def _drop_indexes(db: psycopg.Connection[Any], step: _Step) -> set[str]:
    found = db.execute(_INDEXES, _looked_for(step)).fetchall()
    for quoted, _ in found:
        db.execute(f"DROP INDEX {quoted}".encode())
    return {name for _, name in found}


def _looked_for(step: _Step) -> dict[str, str]:
    return {"table": '"' + step.table.name.replace('"', '""') + '"', "column": step.column.name}


def _told(step: _Step, misfit: Misfit) -> Finding:
    value = misfit.values[misfit.unfit.index]
    what = f"widened from {step.old_type} to {step.new_type}: {misfit.unfit.reason}"
    if step.old_type == step.new_type:
        what = f"holds {storage_class(value)} too from now on, in {step.new_type} as before"
    remedy = f'Nothing is lost; to choose the type yourself, set types."{step.table.name}.{step.column.name}"'
    return Finding("warn", "column-widened", what, step.where, remedy)
