"""The SQL that writes rows to PostgreSQL, made once a table; every identifier is quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Statements:
    """One table's statements; parameters are positional, in the order of the columns or of the key."""

    copy: sql.Composed
    upsert: sql.Composed
    delete: sql.Composed
    make_stage: sql.Composed
    copy_stage: sql.Composed
    upsert_stage: sql.Composed
    make_key_stage: sql.Composed
    copy_key_stage: sql.Composed
    delete_stage: sql.Composed
    empty_stage: sql.Composed
    empty_key_stage: sql.Composed
    range_taken: sql.Composed | None


def compose(  # noqa: PLR0913  (what a table is)
    table: str, columns: Sequence[str], types: Sequence[str], key: Sequence[str], *, ranged: bool, number: int
) -> Statements:
    """All statements for a table; ``number`` tells its staging tables from other tables' ones."""
    target, names, keys = sql.Identifier(table), _list(columns), _list(key)
    given = [name.replace("%", "%%") for name in (table, *columns)]  # as they are said where parameters follow
    given_key = [name.replace("%", "%%") for name in key]
    stage, key_stage = sql.Identifier(f"_switchback_stage_{number}"), sql.Identifier(f"_switchback_keys_{number}")
    casts = dict(zip(given[1:], types, strict=True))
    same = sql.SQL(" AND ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in key)
    equal = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(n), _cast(casts[n])) for n in given_key)
    return Statements(
        copy=sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(target, names),
        upsert=_upsert(given[0], given[1:], given_key, _values(types)),
        delete=sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(given[0]), equal),
        make_stage=_make_stage(stage, names, target),
        copy_stage=sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(stage, names),
        upsert_stage=_upsert(table, columns, key, sql.SQL("SELECT {} FROM {}").format(names, stage)),
        make_key_stage=_make_stage(key_stage, keys, target),
        copy_key_stage=sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(key_stage, keys),
        delete_stage=sql.SQL("DELETE FROM {} AS t USING {} AS k WHERE {}").format(target, key_stage, same),
        empty_stage=sql.SQL("TRUNCATE {}").format(stage),
        empty_key_stage=sql.SQL("TRUNCATE {}").format(key_stage),
        range_taken=_range_taken(given[0], given_key[0], casts[given_key[0]]) if ranged else None,
    )


def _make_stage(stage: sql.Identifier, names: sql.Composed, target: sql.Identifier) -> sql.Composed:
    make = "CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA"
    return sql.SQL(make).format(stage, names, target)


def _upsert(table: str, columns: Sequence[str], key: Sequence[str], rows: sql.Composed) -> sql.Composed:
    insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE {} {}")
    return insert.format(sql.Identifier(table), _list(columns), rows, _conflict(columns, key))


def _values(types: Sequence[str]) -> sql.Composed:
    return sql.SQL("VALUES ({})").format(sql.SQL(", ").join(map(_cast, types)))


def _range_taken(table: str, key: str, pg_type: str) -> sql.Composed:
    """Whether there are rows from a key to another, and whether there are any behind a third.

    The second is asked by max(): a table that is being filled has no statistics, and for EXISTS it would be read whole.
    """
    exists = "SELECT EXISTS (SELECT FROM {0} WHERE {1} BETWEEN {2} AND {2}), (SELECT max({1}) > {2} IS TRUE FROM {0})"
    return sql.SQL(exists).format(sql.Identifier(table), sql.Identifier(key), _cast(pg_type))


def _conflict(columns: Sequence[str], key: Sequence[str]) -> sql.Composed:
    rest = [sql.Identifier(name) for name in columns if name not in key]
    if not rest:
        return sql.SQL("ON CONFLICT ({}) DO NOTHING").format(_list(key))
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in rest)
    return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(_list(key), sets)


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _cast(pg_type: str) -> sql.Composed:
    return sql.SQL("%s::{}").format(sql.SQL(pg_type))
