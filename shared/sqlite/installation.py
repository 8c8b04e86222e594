"""Putting capture into a source and taking it out again, each in one transaction.

Besides the triggers there are four tables: ``_switchback_log`` (the change log), ``_switchback_tables``
(which table, in which shape, a number in the log means), ``_switchback_pending`` (see ``triggers``)
and ``_switchback_state``, a view (see ``witness``), and the fence, open (see ``fence``).  Nothing of the
application's is touched, and taking capture out leaves the stored schema byte for byte as it was; so no table of
ours may use AUTOINCREMENT, which would leave ``sqlite_sequence`` behind for ever.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable

from msgspec import Struct, structs

from shared.errors import BadInput, SchemaChanged, Stop
from shared.sqlite import ddl, fence, witness
from shared.sqlite.catalog import COLUMNS_AT_MOST, read_schema
from shared.sqlite.connection import quote, writing
from shared.sqlite.description import OWN, removes_more
from shared.sqlite.state import FORMAT, check_stream, read_state, write_state
from shared.sqlite.triggers import trigger_names, trigger_sql
from shared.tables import Schema, Table

_TABLES = {
    "_switchback_log": '(seq INTEGER PRIMARY KEY, "tbl", "op", "ms"{image})',
    "_switchback_tables": "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL)",
    "_switchback_pending": '("tbl", "tag1", "tag2"{image})',
    "_switchback_state": "(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
}
_WITH_IMAGES = ("_switchback_log", "_switchback_pending")
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ? ORDER BY rowid"
_PENDING_INDEX = 'CREATE INDEX "_switchback_pending_tags" ON "_switchback_pending" ("tbl", "tag1", "tag2")'


class Installed(Struct, frozen=True):
    """What an installation did: names of what it made, and of triggers that it took away or made again."""

    incarnation: str
    first: bool
    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def install(db: sqlite3.Connection, schema: Schema, stream: str) -> Installed:
    """Make whatever is missing or outdated, in a transaction of its own; changes nothing where all is right.

    Raises BadInput where the source belongs to another stream or a table is too wide, SchemaChanged
    where the tables are no longer as in ``schema``, Stop where a trigger would break a statement.
    """
    with writing(db):
        return install_within(db, schema, stream)


def install_within(db: sqlite3.Connection, schema: Schema, stream: str) -> Installed:
    """The same in the caller's write transaction."""
    _check_schema(db, schema)
    state = read_state(db)
    _check_state(state, stream)
    created = _make_tables(db, schema)
    if not state:
        write_state(db, format=FORMAT, incarnation=uuid.uuid4().hex, stream=stream)
    made, dropped = _make_triggers(db, schema)
    if not witness.stands(db):
        created.append(witness.NAME)
    if not witness.stands(db) or _remade(db):
        witness.put_last(db)
    incarnation = read_state(db)["incarnation"]
    return Installed(incarnation, first=not state, created=(*created, *made), dropped=tuple(dropped))


def stands(db: sqlite3.Connection, schema: Schema, stream: str) -> bool:
    """Whether ``install`` would change nothing: told in the caller's transaction, which need not be one that writes.

    Raises BadInput where the source belongs to another stream.
    """
    state = read_state(db)
    _check_state(state, stream)
    if not state or not all(_has_table(db, name) for name in _TABLES):
        return False
    tables = list(_current(db, schema))
    numbers = [_known_id(db, table) for table in tables]
    wide = all(_width(db, name) >= _images_width(schema) for name in _WITH_IMAGES)
    if len(tables) < len(schema.tables) or not all(numbers) or not wide or any(_overtakers(db, t) for t in tables):
        return False
    wanted = [_triggers_of(db, table, number) for table, number in zip(tables, numbers, strict=True)]
    right = dict(_own_triggers(db)) == dict(trigger for group in wanted for trigger in group)
    return right and fence.stands(db, schema.by_name) and witness.stands(db) and not _remade(db)


def uninstall(db: sqlite3.Connection, *, keep_closed: bool = False) -> list[str]:
    """Remove all that ``install`` made, in a transaction of its own; returns the names, none if there was nothing.

    With ``keep_closed`` the fence of a closed file stays.
    """
    with writing(db):
        return uninstall_within(db, keep_closed=keep_closed)


def uninstall_within(db: sqlite3.Connection, *, keep_closed: bool = False) -> list[str]:
    """The same in the caller's transaction."""
    fences = [] if keep_closed and fence.closed_tables(db) else fence.remove(db)
    triggers = [name for name, _ in _own_triggers(db)]
    tables = [name for name in _TABLES if _has_table(db, name)]
    views = [witness.NAME] if witness.stands(db) else []
    for kind, names in (("TRIGGER", triggers), ("VIEW", views), ("TABLE", tables)):
        for name in names:
            db.execute(f"DROP {kind} main.{quote(name)}")
    return triggers + views + tables + fences


def check_installed(db: sqlite3.Connection, schema: Schema) -> list[str]:
    """What keeps the change log from being complete, one clause each; nothing where all is well.

    Runs in the caller's transaction.  To be asked whenever ``schema_version`` has moved: a rebuilt
    table has lost its triggers, a new unique index is not watched yet.
    """
    missing = [name for name in _TABLES if not _has_table(db, name)]
    if missing:
        return [f"table {name} is missing" for name in missing]
    if witness.is_missed(db):
        return [f"the view {witness.NAME} is gone, and triggers may have been gone with it"]
    current = {table.name: table for table in _current(db, schema)}
    found = []
    for table in schema.tables:
        now = current.get(table.name)
        if now is None:
            found.append(f"table {table.name} is gone")
        elif now.names != table.names or now.key != table.key:
            found.append(f"table {table.name} has other columns or another key")
        else:
            found += _check_triggers(db, now)
    return found


def overtaken(db: sqlite3.Connection, schema: Schema) -> list[str]:
    """Tables that have got a trigger, or a foreign key to them, that ours should be made anew for by ``install``.

    Not urgent: meanwhile a change is missed only where the application's younger AFTER trigger fails
    under OR FAIL (SQLite then keeps the row's change and runs no further trigger), or where an UPDATE
    OR REPLACE is undone by a cascade of its own.  Runs in the caller's transaction.
    """
    there = dict(_own_triggers(db))
    return [
        table.name
        for table in _current(db, schema)
        if _overtakers(db, table) or not _fits(there, _triggers_of(db, table, _known_id(db, table)))
    ]


def table_ids(db: sqlite3.Connection) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Name and columns of the table that each number in the change log means."""
    rows = db.execute("SELECT id, name, columns FROM _switchback_tables ORDER BY id").fetchall()
    return {number: (name, tuple(json.loads(columns))) for number, name, columns in rows}


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


def _current(db: sqlite3.Connection, schema: Schema) -> Iterable[Table]:
    """The tables of that schema as they are now; those that are gone are left out."""
    wanted = {table.name for table in schema.tables}
    return [table for table in read_schema(db).tables if table.name in wanted]


def _check_schema(db: sqlite3.Connection, schema: Schema) -> None:
    current = {table.name: table for table in _current(db, schema)}
    for table in schema.tables:
        now = current.get(table.name)
        if now is None or _shape(now) != _shape(table):
            what = "the table was changed since it was looked at" if now else "the table is gone"
            raise SchemaChanged(what, where=f"table {table.name}", remedy="Start again when the migration is over")
        if len(table.columns) > COLUMNS_AT_MOST:
            what = f"the table has {len(table.columns)} columns; at most {COLUMNS_AT_MOST} can be captured"
            raise BadInput(what, where=f"table {table.name}", remedy="Leave it out with `exclude`")


def _shape(table: Table) -> Table:
    """What the triggers depend on."""
    bare = tuple(structs.replace(column, census=type(column.census)()) for column in table.columns)
    return structs.replace(table, columns=bare, foreign_keys=())


def _check_state(state: dict[str, str], stream: str) -> None:
    if state and state.get("format") != FORMAT:
        what = f"capture of another version (format {state.get('format')}) is installed"
        raise BadInput(what, remedy="Run `switchback uninstall` with that version first")
    check_stream(state, stream)


def _make_tables(db: sqlite3.Connection, schema: Schema) -> list[str]:
    """Make what is missing, wide enough for every row image; what is too narrow gets columns and keeps its rows."""
    width = _images_width(schema)
    made = [name for name in _TABLES if not _has_table(db, name)]
    for name in made:
        image = "".join(f', "c{place}"' for place in range(1, width + 1))
        db.execute(f"CREATE TABLE main.{quote(name)} {_TABLES[name].format(image=image)}")
    if "_switchback_pending" in made:
        db.execute(_PENDING_INDEX)
    for name in _WITH_IMAGES:
        for place in range(_width(db, name) + 1, width + 1):
            db.execute(f'ALTER TABLE main.{quote(name)} ADD COLUMN "c{place}"')
    return made


def _images_width(schema: Schema) -> int:
    return max((len(table.columns) for table in schema.tables), default=0)


def _width(db: sqlite3.Connection, name: str) -> int:
    """How many values of a row image the table can hold."""
    own = _TABLES[name].count(",") + 1
    return len(db.execute(f"PRAGMA main.table_info({quote(name)})").fetchall()) - own


def _make_triggers(db: sqlite3.Connection, schema: Schema) -> tuple[list[str], list[str]]:
    """Drop the triggers that are wrong or of no use, make those that are missing."""
    tables = list(_current(db, schema))
    before = {table.name: _compile_errors(db, table) for table in tables}
    fences = fence.make(db, schema.by_name)
    groups = {table.name: dict(_expected(db, table)) for table in tables}
    wanted = {name: sql for group in groups.values() for name, sql in group.items()}
    late = {name for table in tables if _overtakers(db, table) for name in groups[table.name]}
    dropped = [name for name, sql in _own_triggers(db) if wanted.get(name) != sql or name in late]
    for name in dropped:
        db.execute(f"DROP TRIGGER main.{quote(name)}")
    kept = {name for name, _ in _own_triggers(db)}
    created = [name for name in wanted if name not in kept]
    for name in created:
        db.execute(wanted[name])
    for table in tables:
        _check_compiles(db, table, before[table.name])
    return fences + created, dropped


def _expected(db: sqlite3.Connection, table: Table) -> list[tuple[str, str]]:
    """Name and text of each trigger that the table must have."""
    return _triggers_of(db, table, _table_id(db, table))


def _triggers_of(db: sqlite3.Connection, table: Table, number: int) -> list[tuple[str, str]]:
    return _named(trigger_sql(table, number, cascades=removes_more(db, table.name)))


def _named(triggers: Iterable[str]) -> list[tuple[str, str]]:
    return [(ddl.tokens(sql[:200])[2].name, sql) for sql in triggers]


def _fits(there: dict[str, str], wanted: Iterable[tuple[str, str]]) -> bool:
    return all(there.get(name) == sql for name, sql in wanted)


def _known_id(db: sqlite3.Connection, table: Table) -> int:
    """The number of that table in this shape; 0 where it has none."""
    shapes = table_ids(db).items()
    return max((number for number, shape in shapes if shape == (table.name, table.names)), default=0)


def _table_id(db: sqlite3.Connection, table: Table) -> int:
    """The number of that table in this shape; a new one where there is none."""
    known = _known_id(db, table)
    if known:
        return known
    sql = "INSERT INTO _switchback_tables (name, columns) VALUES (?, ?)"
    number = db.execute(sql, (table.name, json.dumps(table.names))).lastrowid
    assert number is not None
    return number


def _own_triggers(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those of capture: a fence is not for it to touch."""
    return [(name, text) for name, text in db.execute(_TRIGGERS, (len(OWN), OWN)) if not name.startswith(fence.PREFIX)]


def _remade(db: sqlite3.Connection) -> set[str]:
    """Our triggers that were made after the witness."""
    return witness.younger_triggers(db) & {name for name, _ in _own_triggers(db)}


def _check_triggers(db: sqlite3.Connection, table: Table) -> list[str]:
    number = _known_id(db, table)
    if not number:
        return [f"table {table.name} is not captured in this shape"]
    there = dict(_own_triggers(db))
    if any(_fits(there, _named(trigger_sql(table, number, cascades=cascades))) for cascades in (False, True)):
        found = []
    else:
        found = [f"table {table.name} has lost its triggers, or has outdated ones"]
    if not found and _remade(db).intersection(trigger_names(number)):
        found = [f"table {table.name} had its triggers taken away and made again, and writes may have come in between"]
    hiding = [name for name, sql in _overtakers(db, table) if ddl.raises(sql, "IGNORE", "FAIL")]
    found += [f"table {table.name} has a new trigger {name} whose RAISE hides changes from capture" for name in hiding]
    return found


def _overtakers(db: sqlite3.Connection, table: Table) -> list[tuple[str, str]]:
    """The application's AFTER triggers that are younger than ours; SQLite runs the youngest first.

    What ends the statement in one of them, and keeps the row's change, would keep ours from running.
    """
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid"
    found = db.execute(sql, (table.name,)).fetchall()
    triggers = [(name, text) for name, text in found if not name.startswith(fence.PREFIX)]
    oldest = next((place for place, (name, _) in enumerate(triggers) if name.startswith(OWN)), len(triggers))
    return [(name, text) for name, text in triggers[oldest:] if not name.startswith(OWN) and ddl.is_after(text)]


def _compile_errors(db: sqlite3.Connection, table: Table) -> set[str]:
    """What SQLite says to an INSERT, UPDATE and DELETE that it compiles, triggers and all, and does not run."""
    column = next(c.name for c in table.columns if not c.generated and c.name in _own_columns(table))
    name = quote(table.name)
    errors = set()
    for sql in (
        f"INSERT INTO main.{name} DEFAULT VALUES",
        f"UPDATE main.{name} SET {quote(column)} = NULL",
        f"DELETE FROM main.{name}",
    ):
        try:
            db.execute(f"EXPLAIN {sql}").close()
        except sqlite3.Error as error:
            errors.add(str(error))
    return errors


def _own_columns(table: Table) -> tuple[str, ...]:
    return table.names[1:] if table.key_kind == "rowid" else table.names


def _check_compiles(db: sqlite3.Connection, table: Table, before: set[str]) -> None:
    """Nothing that SQLite compiled without our triggers may fail with them."""
    new = _compile_errors(db, table) - before
    if new:
        what = f"capture triggers would break the application's statements: {'; '.join(sorted(new))}"
        raise Stop(what, where=f"table {table.name}", remedy="Leave the table out with `exclude`, and report this")
