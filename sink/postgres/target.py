"""The target's tables: made from the source's shape, or checked where they are there already.

Tables come first, with their keys and defaults; secondary indexes when a table's rows are copied, foreign keys
and sequences when all are.  What cannot be carried over is reported, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg

from shared import tables as source
from shared.columns import choose_type, codec_for
from shared.findings import Finding
from shared.postgres.catalog import read_columns
from shared.postgres.sequences import raise_sequences
from sink.postgres.adoption import check_table, empty_table
from sink.postgres.defaults import translate_default
from sink.postgres.foreign_keys import add_foreign_keys
from sink.postgres.indexes import add_indexes
from sink.postgres.names import check_names


def create_tables(
    db: psycopg.Connection[Any], schema: source.Schema, types: Mapping[str, str], existing: str
) -> tuple[set[str], list[Finding]]:
    """Make the missing tables in the caller's transaction and check the others; returns the names of those made.

    ``types`` are the operator's choices by "table.column".  ``existing`` says what to do with tables that are
    there: "refuse" those that hold rows, "match" them as they are, or "replace" their rows.  Raises BadInput
    with the first thing that does not do.
    """
    made: set[str] = set()
    found: list[Finding] = []
    for table in schema.tables:
        check_names(table)
        if columns := read_columns(db, "", table.name):
            check_table(db, table, columns, existing)
        else:
            found += _create(db, table, types)
            made.add(table.name)
    if existing == "replace":
        for table in reversed(schema.tables):  # children first
            if table.name not in made:
                empty_table(db, table, [one.name for one in schema.tables])
    return made, found


def _create(db: psycopg.Connection[Any], table: source.Table, types: Mapping[str, str]) -> list[Finding]:
    from sink.postgres.creation import NewColumn, spell_table  # noqa: PLC0415  (a fifth of a second, once a migration)

    found: list[Finding] = []
    columns = []
    for column in table.columns:
        pg_type = choose_type(table, column, types.get(f"{table.name}.{column.name}"))
        codec = codec_for(column, pg_type)
        default, finding = translate_default(table, column, pg_type)
        found += finding
        nullable = not column.not_null and column.name not in table.key
        columns.append(NewColumn(column.name, pg_type, default, column.name == table.identity, nullable))
        if pg_type == "text" and bytes in codec.accepts and column.affinity in ("BLOB", "TEXT"):
            what = "values of several classes are kept as text: numbers as digits, BLOBs as x'...', other texts as is"
            found.append(Finding("note", "mixed-column", what, f"table {table.name}, column {column.name}"))
    db.execute(spell_table(table.name, columns, table.key).encode())
    return found


def finish_table(db: psycopg.Connection[Any], table: source.Table) -> list[Finding]:
    """The secondary indexes of a table that is ours, once the rows are there."""
    db.execute("SET LOCAL maintenance_work_mem = '256MB'")
    return add_indexes(db, table)


def finish(db: psycopg.Connection[Any], schema: source.Schema, made: Collection[str]) -> list[Finding]:
    """Foreign keys of the tables that are ours, and all sequences past the data."""
    found = add_foreign_keys(db, schema.tables, made)
    raise_sequences(db, schema, {})
    return found
