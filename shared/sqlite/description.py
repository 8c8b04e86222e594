"""One SQLite table as ``shared.tables`` describes it.

Facts come from pragmas where there is one, else from the stored CREATE text (see ``ddl``).  All functions
run in the caller's transaction and raise sqlite3's errors.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from shared.errors import BadInput
from shared.sqlite import ddl
from shared.sqlite.connection import quote
from shared.sqlite.database import Database
from shared.sqlite.ddl import fold
from shared.tables import ROWID, Affinity, Column, ForeignKey, Index, IndexPart, KeyKind, Table

OWN = "_switchback_"
"""How the names of all our objects in the source begin."""

_ROWID_WORDS = ("rowid", "_rowid_", "oid")
_VIRTUAL, _STORED = 2, 3  # values of "hidden" in table_xinfo
_GENERATED: dict[int, Literal["", "virtual", "stored"]] = {_VIRTUAL: "virtual", _STORED: "stored"}


def read_table(db: Database, name: str) -> Table:
    """One table by its exact name; BadInput where it has no key and its rowid cannot be named."""
    facts = next(row for row in list_tables(db) if row[1] == name)
    strict, has_rowid = bool(facts[5]), not facts[4]
    sql = stored_sql(db, name, "table")
    infos = pragma_rows(db, "table_xinfo", name)
    primary = [info[1] for info in sorted(infos, key=lambda info: info[5]) if info[5]]
    indexes = _read_indexes(db, name)
    identity = primary[0] if _is_alias(infos, primary, indexes, has_rowid=has_rowid) else None
    columns = _read_columns(infos, sql, identity, strict=strict)
    rowid_name = _rowid_name(columns) if has_rowid else ""
    key, kind = _choose_key(columns, primary, indexes)
    if kind == "rowid":
        if not rowid_name:
            raise BadInput(
                "a table has no key, and columns named rowid, _rowid_ and oid hide its rowid",
                where=f"table {name}",
                remedy="Give it a primary key, or leave it out with `exclude`",
            )
        columns = (Column(ROWID, "INTEGER", "INTEGER", not_null=True), *columns)
    return Table(
        name=name,
        columns=columns,
        key=key,
        key_kind=kind,
        identity=identity,
        rowid_name=rowid_name,
        strict=strict,
        indexes=indexes,
        foreign_keys=_read_foreign_keys(db, name, sql),
    )


def null_keys(db: Database, table: Table) -> int:
    """Rows with a NULL in the key, which SQLite allows in a PRIMARY KEY other than INTEGER and PostgreSQL never."""
    if table.identity is not None or table.key_kind != "primary" or not table.rowid_name:
        return 0
    wanted = " OR ".join(f"{quote(name)} IS NULL" for name in table.key)
    count: int = db.execute(f"SELECT count(*) FROM {quote(table.name)} WHERE {wanted}").fetchone()[0]
    return count


def removes_more(db: Database, table: str) -> bool:
    """Whether removing a row may set off more: a foreign key's action, or a DELETE trigger of the application's."""
    actions = {
        action
        for row in list_tables(db)
        for key in pragma_rows(db, "foreign_key_list", row[1])
        if fold(key[2]) == fold(table)
        for action in key[5:7]
    }
    if actions - {"NO ACTION", "RESTRICT"}:
        return True
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE"
    triggers = [text for name, text in db.execute(sql, (table,)).fetchall() if not name.startswith(OWN)]
    return any(ddl.event_of(text) == "DELETE" for text in triggers)


def affinity_of(declared: str, *, strict: bool = False) -> Affinity:
    """The affinity that SQLite derives from a declared type."""
    upper = declared.upper()
    if strict and upper == "ANY":
        return "BLOB"
    if "INT" in upper:
        return "INTEGER"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in upper or not upper:
        return "BLOB"
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def pragma_rows(db: Database, pragma: str, name: str) -> list[tuple[Any, ...]]:
    """What a pragma says about a table or an index."""
    rows: list[tuple[Any, ...]] = db.execute(f"PRAGMA main.{pragma}({quote(name)})").fetchall()
    return rows


def list_tables(db: Database) -> list[tuple[Any, ...]]:
    """(schema, name, type, columns, without rowid, strict) of what may be of interest, in the order of creation."""
    listed = {row[1]: row for row in db.execute("PRAGMA main.table_list") if row[0] == "main"}
    stored = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    hidden = (OWN, "sqlite_", *_unknown_shadows(db, stored))
    return [listed[name] for name, _ in stored if name in listed and not fold(name).startswith(hidden)]


def _unknown_shadows(db: Database, stored: Sequence[tuple[str, str]]) -> list[str]:
    """How the shadow tables begin of virtual tables whose module is not loaded here, so that SQLite cannot tell."""
    modules = {name for (name,) in db.execute("PRAGMA module_list")}
    used = {name: ddl.virtual_module(sql) for name, sql in stored}
    return [f"{fold(name)}_" for name, module in used.items() if module and module not in modules]


def stored_sql(db: Database, name: str, kind: str) -> str:
    """The CREATE text of a table, index or trigger; nothing for an index that SQLite made by itself."""
    row = db.execute("SELECT sql FROM sqlite_master WHERE name = ? AND type = ?", (name, kind)).fetchone()
    return (row[0] if row else None) or ""


def _read_columns(
    infos: Sequence[tuple[Any, ...]], sql: str, identity: str | None, *, strict: bool
) -> tuple[Column, ...]:
    collations = ddl.column_collations(sql)
    return tuple(
        Column(
            name=name,
            declared=declared,
            affinity=affinity_of(declared, strict=strict),
            not_null=bool(not_null) or name == identity,
            default=default,
            generated=_GENERATED.get(hidden, ""),
            collation=collations.get(fold(name), "BINARY"),
        )
        for _, name, declared, not_null, default, _, hidden in infos
    )


def _is_alias(
    infos: Sequence[tuple[Any, ...]], primary: Sequence[str], indexes: Sequence[Index], *, has_rowid: bool
) -> bool:
    """Whether the primary key is the rowid itself.  The sign is that it has no index: see INTEGER PRIMARY KEY DESC."""
    if not has_rowid or len(primary) != 1:
        return False
    declared = next(info[2] for info in infos if info[1] == primary[0])
    return declared.upper() == "INTEGER" and not any(index.origin == "pk" for index in indexes)


def _rowid_name(columns: Sequence[Column]) -> str:
    taken = {fold(column.name) for column in columns}
    return next((word for word in _ROWID_WORDS if word not in taken), "")


def _choose_key(
    columns: Sequence[Column], primary: Sequence[str], indexes: Sequence[Index]
) -> tuple[tuple[str, ...], KeyKind]:
    if primary:
        return tuple(primary), "primary"
    never_null = {column.name for column in columns if column.not_null}
    keys = [
        tuple(part.column for part in index.parts if part.column)
        for index in indexes
        if index.unique and not index.where and all(part.column in never_null for part in index.parts)
    ]
    if keys:
        return min(keys, key=lambda key: (len(key), key)), "unique"
    return (ROWID,), "rowid"


def _read_indexes(db: Database, table: str) -> tuple[Index, ...]:
    found = []
    for _, name, unique, origin, _ in pragma_rows(db, "index_list", table):
        sql = stored_sql(db, name, "index")
        where = ddl.index_where(sql) if sql else ""
        index = Index(name, tuple(_read_parts(db, name, sql)), unique=bool(unique), where=where, origin=origin)
        found.append(index)
    return tuple(sorted(found, key=lambda index: index.name))


def _read_parts(db: Database, index: str, sql: str) -> Iterator[IndexPart]:
    expressions = ddl.index_expressions(sql) if sql else []
    for place, column_id, column, descending, collation, is_key in pragma_rows(db, "index_xinfo", index):
        if is_key:
            expression = "" if column_id >= 0 else expressions[place]
            yield IndexPart(column, expression, bool(descending), collation)


def _read_foreign_keys(db: Database, table: str, sql: str) -> tuple[ForeignKey, ...]:
    by_id: dict[int, list[tuple[Any, ...]]] = {}
    for row in pragma_rows(db, "foreign_key_list", table):
        by_id.setdefault(row[0], []).append(row)
    declared = [by_id[number] for number in sorted(by_id, reverse=True)]  # SQLite lists the last one first
    deferred = ddl.deferred_references(sql)
    if len(deferred) != len(declared):
        deferred = [False] * len(declared)
    found = (_foreign_key(db, rows, late) for rows, late in zip(declared, deferred, strict=True))
    return tuple(key for key in found if key)


def _foreign_key(db: Database, rows: list[tuple[Any, ...]], deferred: bool) -> ForeignKey | None:  # noqa: FBT001
    """None where the parent, or a column of it, does not exist."""
    rows.sort(key=lambda row: row[1])
    _, _, parent, _, _, on_update, on_delete, _ = rows[0]
    actual = next((row[1] for row in list_tables(db) if fold(row[1]) == fold(parent)), None)
    if actual is None:
        return None
    infos = pragma_rows(db, "table_xinfo", actual)
    names = {fold(info[1]): info[1] for info in infos}
    wanted = [row[4] for row in rows]
    if wanted[0] is None:
        wanted = [info[1] for info in sorted(infos, key=lambda info: info[5]) if info[5]]
    if len(wanted) != len(rows) or any(fold(name) not in names for name in wanted):
        return None
    return ForeignKey(
        columns=tuple(row[3] for row in rows),
        parent=actual,
        parent_columns=tuple(names[fold(name)] for name in wanted),
        on_delete=on_delete,
        on_update=on_update,
        deferred=deferred,
    )
