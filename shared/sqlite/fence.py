"""The fence of a SQLite file: triggers that refuse every write to the replicated tables while a table holds a row.

The triggers stand all the time; what closes the file is the row in ``_switchback_fence``.  So nothing of the schema
changes at a switch: no connection of the application's has to read it anew, which takes many times as long as the
write that it waits with.  A row is safe here, as it would not be in PostgreSQL: SQLite has one writer at a time, and
none can write by an older view than the last commit.

SQLite runs the youngest trigger first.  So where the application made a BEFORE trigger after ours, whose RAISE(IGNORE)
would let a statement pass without a word, ours are made anew before the table is closed.

``RAISE(ABORT)`` holds under every OR clause and undoes the whole statement, for every connection, also one that
has prepared its statements long ago.  A writer that began before has to end first, and a reader with an older view
cannot become a writer.  Readers do not notice anything.

What passes: DDL, and a connection that has switched triggers off.  The sink does that; see sink.sqlite.

All functions run in the caller's write transaction, on sqlite3's connections and on apsw's.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers)

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from shared.sqlite import ddl
from shared.sqlite.connection import quote
from shared.sqlite.database import Database
from shared.sqlite.ddl import fold
from shared.sqlite.description import OWN
from shared.sqlite.state import read_state, write_state

MESSAGE = "switchback: this database has moved to PostgreSQL; writes go there now"
TABLE = "_switchback_fence"
PREFIX = f"{TABLE}_"
_EVENTS = ("INSERT", "UPDATE", "DELETE")
_TRIGGERS = (
    "SELECT tbl_name, name, sql FROM main.sqlite_master WHERE type = 'trigger' AND sql IS NOT NULL ORDER BY rowid"
)
_EXISTS = f"SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = '{TABLE}'"
_CLOSED = f"SELECT 1 FROM main.{TABLE}"
_CLOSE = f"INSERT INTO main.{TABLE} SELECT 1 WHERE NOT EXISTS ({_CLOSED})"
_OPEN = (f"UPDATE main.{TABLE} SET closed = 0", f"DELETE FROM main.{TABLE}")
_KEPT = f"{PREFIX}kept"
"""A script that empties all tables empties ours as well, and perhaps first: it is refused."""
_KEEP = f"BEFORE DELETE ON {TABLE} WHEN OLD.closed BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"


def make(db: Database, names: Iterable[str]) -> list[str]:
    """Make what is missing or wrong of the triggers of these tables; those of others go.  The names of what was made.

    Nothing is closed or opened by it.
    """
    names = set(names)
    wanted, there, late = _wanted(names), _there(db), _late(db)
    closed = names <= closed_tables(db)
    made = []
    with _noted(db):
        if not _has_table(db):
            db.execute(f"CREATE TABLE main.{TABLE} (closed)")
            made.append(TABLE)
        for name in there:
            if wanted.get(name) != there[name] or name in late:
                db.execute(f"DROP TRIGGER main.{quote(name)}")
        for name in wanted:
            if wanted[name] != there.get(name) or name in late:
                db.execute(wanted[name])
                made.append(name)
        if names and closed:
            db.execute(_CLOSE)
    return made


def stands(db: Database, names: Iterable[str]) -> bool:
    """Whether ``make`` would change nothing."""
    return _has_table(db) and _there(db) == _wanted(names) and not _late(db)


def put_up(db: Database, names: Iterable[str]) -> None:
    """Close these tables."""
    make(db, names)
    db.execute(_CLOSE)


def bring_up(db: Database, names: Iterable[str]) -> None:
    """Make the fence of a file that the version before has closed anew; it stays closed."""
    if not is_up(db) and set(names) <= closed_tables(db):
        make(db, names)


def take_down(db: Database) -> None:
    """Open all tables again; the triggers stay, but for those that refuse always."""
    if _has_table(db):
        for statement in _OPEN:
            db.execute(statement)
    before = [name for table, name, sql in _triggers(db) if _is(_text_before, table, name, sql)]
    if before:
        with _noted(db):
            for name in before:
                db.execute(f"DROP TRIGGER main.{quote(name)}")


def is_up(db: Database) -> bool:
    """Whether the row is there: the tables that have the triggers are closed."""
    return _has_table(db) and bool(db.execute(_CLOSED).fetchall())


def remove(db: Database) -> list[str]:
    """Take everything away, whether closed or not; its names."""
    triggers, tables = list(_there(db)), [TABLE] if _has_table(db) else []
    for kind, names in (("TRIGGER", triggers), ("TABLE", tables)):
        for name in names:
            db.execute(f"DROP {kind} main.{quote(name)}")
    return triggers + tables


def closed_tables(db: Database) -> set[str]:
    """The tables that are closed for every kind of write: by the row, or by triggers of the version before."""
    found = dict.fromkeys((table for table, _, _ in _triggers(db)), 0)
    kinds = (_text, _text_before) if is_up(db) else (_text_before,)
    for table, name, sql in _triggers(db):
        found[table] += any(_is(kind, table, name, sql) for kind in kinds)
    return {table for table, count in found.items() if count == len(_EVENTS)}


def _wanted(names: Iterable[str]) -> dict[str, str]:
    """The text of each trigger by its name."""
    numbered = enumerate(sorted(names), start=1)
    triggers = ((f"{PREFIX}{number}_{event.lower()}", event, table) for number, table in numbered for event in _EVENTS)
    texts = {name: _text(name, event, table) for name, event, table in triggers}
    return {**texts, _KEPT: f"CREATE TRIGGER {quote(_KEPT)} {_KEEP}"}


def _text(name: str, event: str, table: str) -> str:
    """Exactly as SQLite will keep it."""
    refuse = f"SELECT RAISE(ABORT, '{MESSAGE}') FROM {TABLE};"
    return f"CREATE TRIGGER {quote(name)} BEFORE {event} ON {quote(table)} BEGIN {refuse} END"


def _text_before(name: str, event: str, table: str) -> str:
    """In the version before, whose switches made the triggers and dropped them."""
    return f"CREATE TRIGGER {quote(name)} BEFORE {event} ON {quote(table)} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"


def _is(kind: Callable[[str, str, str], str], table: str, name: str, sql: str) -> bool:
    return any(sql == kind(name, event, table) for event in _EVENTS)


def _triggers(db: Database) -> list[tuple[str, str, str]]:
    """Table, name and text of each of ours, the eldest first."""
    return [found for found in db.execute(_TRIGGERS).fetchall() if found[1].startswith(PREFIX)]


def _late(db: Database) -> set[str]:
    """Ours on tables that have a younger BEFORE trigger of the application's."""
    ours = dict[str, set[str]]()
    late = set[str]()
    for table, name, sql in db.execute(_TRIGGERS).fetchall():
        if name.startswith(PREFIX):
            ours.setdefault(fold(table), set()).add(name)
        elif not name.startswith(OWN) and not ddl.is_after(sql):
            late |= ours.get(fold(table), set())
    return late


def _there(db: Database) -> dict[str, str]:
    return {name: sql for _, name, sql in _triggers(db)}


def _has_table(db: Database) -> bool:
    return bool(db.execute(_EXISTS).fetchall())


@contextmanager
def _noted(db: Database) -> Iterator[None]:
    """Our own DDL moves SQLite's schema version; where the file's notes were up to date, they stay so.

    Where they were not, somebody else has changed the schema (or vacuumed), and that must still be found.
    """
    noted = read_state(db).get("schema_version") == _version(db)
    yield
    if noted:
        write_state(db, schema_version=_version(db))


def _version(db: Database) -> str:
    return str(db.execute("PRAGMA main.schema_version").fetchone()[0])
