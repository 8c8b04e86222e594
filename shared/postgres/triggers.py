"""The capture triggers of a PostgreSQL table, as SQL.  Pure.

As on SQLite, **every entry says what is true when it is made**: a ``c`` or ``u`` holds the row as it is in the
table now (read again, for a trigger of the application's may have changed it since), a ``d`` or ``k`` says that no
row has this key now.  Each row's event comes after the change that caused it, so the last entry of each key is its
last state, in whatever order the triggers of nested statements fire.

A transaction above READ COMMITTED sees the table as it was, with rows that others have deleted since; but a key is
unique, so of all versions of a key that it has just written only one of its own can be alive.  There
``switchback.wrote`` leaves the others out.  TRUNCATE takes rows that such a transaction does not see: it is refused.

Row images are ``text[]``, in the order of the source's columns.  What a type's text hangs on is fixed by the
function's own settings, only where the table has such a type, for they cost something each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from shared.postgres.catalog import PgColumn
from shared.tables import Table

CAPTURE, TRUNCATE, FENCE = "switchback_capture", "switchback_truncate", "switchback_fence"

_NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_ALIVE = "(own.fresh OR switchback.wrote(r.xmin))"
_SETTINGS = (
    (
        ("timestamp", "date", "time", "interval"),
        "SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC' SET IntervalStyle = 'postgres'",
    ),
    (("real", "double"), "SET extra_float_digits = 3"),
    (("bytea",), "SET bytea_output = 'hex'"),
)


def function_names(number: int) -> tuple[str, str]:
    """Of the row function and of the one for TRUNCATE."""
    return f"capture_{number}", f"capture_{number}_truncate"


def function_sql(schema: str, table: Table, columns: Mapping[str, PgColumn], number: int) -> list[sql.Composed]:
    """CREATE FUNCTION for both."""
    name, truncate = function_names(number)
    values: dict[str, sql.Composable] = {
        "name": sql.Identifier("switchback", name),
        "truncate": sql.Identifier("switchback", truncate),
        "settings": sql.SQL(_settings(columns)),
        "table": sql.Identifier(schema, table.name),
        "number": sql.Literal(number),
        "now": sql.SQL(_NOW_MS),
        "old": _image("old", table.names),
        "row": _image("r", table.names),
        "alive": sql.SQL(_ALIVE),
        "same_old": _same(table.key, "old"),
        "same_new": _same(table.key, "new"),
        "changed": sql.SQL("({}) IS DISTINCT FROM ({})").format(_row(table.key, "old"), _row(table.key, "new")),
    }
    return [sql.SQL(_ROWS).format(**values), sql.SQL(_TRUNCATE).format(**values)]


def trigger_sql(schema: str, table: str, number: int) -> list[sql.Composed]:
    """Make the three triggers anew."""
    name, truncate = function_names(number)
    made = {"table": sql.Identifier(schema, table)}
    drop = "DROP TRIGGER IF EXISTS {name} ON {table}"
    names = (CAPTURE, TRUNCATE, FENCE)
    return [
        *(sql.SQL(drop).format(name=sql.Identifier(one), **made) for one in names),
        sql.SQL(
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {call}()"
        ).format(name=sql.Identifier(CAPTURE), call=sql.Identifier("switchback", name), **made),
        sql.SQL("CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {call}()").format(
            name=sql.Identifier(TRUNCATE), call=sql.Identifier("switchback", truncate), **made
        ),
        sql.SQL(
            "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION switchback.fence()"
        ).format(name=sql.Identifier(FENCE), **made),
    ]


def switch_sql(schema: str, table: str, *, primary: bool) -> sql.Composed:
    """Fence off and capture on, or the other way round; in one statement, so under one lock."""
    on, off = sql.SQL("ENABLE ALWAYS TRIGGER {}"), sql.SQL("DISABLE TRIGGER {}")
    capture, fence = (on, off) if primary else (off, on)
    parts = [capture.format(sql.Identifier(name)) for name in (CAPTURE, TRUNCATE)]
    parts.append(fence.format(sql.Identifier(FENCE)))
    return sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(schema, table), sql.SQL(", ").join(parts))


def _settings(columns: Mapping[str, PgColumn]) -> str:
    types = [column.type for column in columns.values()]
    return " ".join(text for words, text in _SETTINGS if any(kind.startswith(words) for kind in types))


def _image(scope: str, names: Sequence[str]) -> sql.Composed:
    columns = [sql.SQL("{}::text").format(sql.Identifier(scope, name)) for name in names]
    return sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(columns))


def _row(key: Sequence[str], scope: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(scope, name) for name in key)


def _same(key: Sequence[str], scope: str) -> sql.Composed:
    terms = [sql.SQL("{} = {}").format(sql.Identifier("r", name), sql.Identifier(scope, name)) for name in key]
    return sql.SQL(" AND ").join(terms)


_ROWS = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT {settings} AS $switchback$
<<own>>
DECLARE
    moved boolean := TG_OP = 'INSERT';
    fresh boolean := current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable');
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO switchback.changes (number, op, ms, image)
        SELECT {number}, 'd', {now}, {old} WHERE NOT EXISTS (SELECT FROM {table} AS r WHERE {same_old} AND {alive});
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND {changed} THEN
        moved := true;
        INSERT INTO switchback.changes (number, op, ms, image)
        SELECT {number}, 'k', {now}, {old} WHERE NOT EXISTS (SELECT FROM {table} AS r WHERE {same_old} AND {alive});
    END IF;
    INSERT INTO switchback.changes (number, op, ms, image)
    SELECT {number}, CASE WHEN own.moved THEN 'c' ELSE 'u' END, {now}, {row} FROM {table} AS r
     WHERE {same_new} AND {alive};
    RETURN NULL;
END $switchback$
"""

_TRUNCATE = """
CREATE OR REPLACE FUNCTION {truncate}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT {settings} AS $switchback$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('switchback: TRUNCATE of table %s in a transaction above READ COMMITTED', TG_TABLE_NAME),
            DETAIL = 'Rows that were committed after its snapshot would go unseen, and stay in SQLite.',
            HINT = 'Use READ COMMITTED, or DELETE.';
    END IF;
    INSERT INTO switchback.changes (number, op, ms, image) SELECT {number}, 'd', {now}, {row} FROM {table} AS r;
    RETURN NULL;
END $switchback$
"""
