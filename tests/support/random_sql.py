"""Random SQL against a zoo of tables: what an application may do to a SQLite database, and more.

``random_statements(seed, n)`` gives the same list for the same seed.  Statements may fail (that is
part of it): run each one, ignore ``sqlite3.Error``, go on.  Transactions left open are closed at the end.
``ZOO`` keeps each column to values of its declared type, so the tables can be replicated anywhere;
``ODD_ZOO`` has columns that hold any storage class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

ZOO = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE,
  nick TEXT COLLATE NOCASE UNIQUE, score REAL, touched INTEGER NOT NULL DEFAULT 0);
CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT,
  person_id INTEGER REFERENCES person(id) ON DELETE CASCADE ON UPDATE CASCADE,
  slot INTEGER, active INTEGER NOT NULL DEFAULT 1, title TEXT);
CREATE UNIQUE INDEX task_slot ON task (person_id, slot) WHERE task.active = 1;
CREATE UNIQUE INDEX task_title ON task (lower(title), slot);
CREATE TABLE setting ("key" TEXT PRIMARY KEY NOT NULL, value BLOB, "rank" INTEGER UNIQUE);
CREATE TABLE pair (a INTEGER, b TEXT, n INTEGER, v TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE UNIQUE INDEX pair_n ON pair (n DESC) WHERE v IS NOT NULL;
CREATE TABLE tag (name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, n INTEGER);
CREATE TABLE label (name TEXT COLLATE NOCASE, n INTEGER UNIQUE, PRIMARY KEY (name)) WITHOUT ROWID;
CREATE TABLE loose (a INTEGER, b TEXT UNIQUE, c REAL);
CREATE TABLE code (code TEXT NOT NULL UNIQUE, label TEXT UNIQUE, n INTEGER);
CREATE TABLE gen (id INTEGER PRIMARY KEY, a INTEGER, w TEXT, twice INTEGER AS (a * 2) STORED, shout TEXT AS (upper(w)));
CREATE UNIQUE INDEX gen_shout ON gen (shout);
CREATE TABLE "odd ""name"" ö" ("select" INTEGER PRIMARY KEY, "group by" TEXT UNIQUE, [a b] TEXT, `ü'x` INTEGER);
CREATE UNIQUE INDEX "odd index" ON "odd ""name"" ö" ([a b] COLLATE NOCASE, "ü'x" ASC) WHERE "ü'x" > 0;
CREATE TABLE filled (id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT red UNIQUE ON CONFLICT REPLACE,
  n INTEGER NOT NULL DEFAULT 1);
CREATE UNIQUE INDEX filled_n ON filled (n) WHERE u <> "blue";
CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES node(id) ON DELETE CASCADE,
  friend INTEGER REFERENCES node(id) ON DELETE SET NULL, path TEXT UNIQUE);
CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT, n INTEGER);
CREATE TRIGGER person_touched AFTER UPDATE OF score ON person BEGIN
  UPDATE person SET touched = touched + 1 WHERE id = NEW.id; END;
CREATE TRIGGER person_added AFTER INSERT ON person BEGIN INSERT INTO audit (what, n) VALUES ('person', NEW.id); END;
CREATE TRIGGER setting_moves BEFORE INSERT ON setting BEGIN DELETE FROM setting WHERE "rank" = NEW."rank" + 3; END;
CREATE TRIGGER loose_stays BEFORE DELETE ON loose WHEN OLD.a = 3 BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER code_quiet AFTER INSERT ON code WHEN NEW.n = 4 BEGIN SELECT RAISE(IGNORE); END;
"""

STRICT_ZOO = """
CREATE TABLE item (id INTEGER PRIMARY KEY, v TEXT, b BLOB UNIQUE, u INT UNIQUE) STRICT;
CREATE TABLE measure (t REAL NOT NULL, n INTEGER NOT NULL, v TEXT, PRIMARY KEY (t, n)) STRICT, WITHOUT ROWID;
"""

LATE_TRIGGERS = """
CREATE TRIGGER task_normal AFTER INSERT ON task WHEN NEW.slot = 2 BEGIN
  UPDATE task SET title = 'late ' || id WHERE id = NEW.id; END;
CREATE TRIGGER task_back AFTER DELETE ON task WHEN OLD.slot = 5 BEGIN
  INSERT INTO task (id, person_id, slot, active, title) VALUES (OLD.id, NULL, 6, 0, OLD.title); END;
CREATE TRIGGER pair_renamed AFTER UPDATE ON pair WHEN NEW.n = 5 AND OLD.n <> 5 BEGIN
  INSERT OR IGNORE INTO pair VALUES (OLD.a, OLD.b, NULL, 'again'); END;
CREATE TRIGGER tag_lower AFTER INSERT ON tag WHEN NEW.n = 2 BEGIN
  UPDATE tag SET name = lower(name) WHERE name = NEW.name; END;
CREATE TRIGGER label_gone AFTER INSERT ON label WHEN NEW.n = 3 BEGIN DELETE FROM label WHERE name = NEW.name; END;
CREATE TRIGGER node_adopt AFTER DELETE ON node BEGIN
  UPDATE node SET path = NULL WHERE friend IS NULL AND id = OLD.parent; END;
CREATE TRIGGER gen_before BEFORE UPDATE ON gen WHEN NEW.a = 7 BEGIN UPDATE gen SET a = 1 WHERE id = NEW.id + 1; END;
"""

ODD_ZOO = """
CREATE TABLE mixed (k NOT NULL PRIMARY KEY, u UNIQUE, v);
CREATE TABLE mixed_pair (a NOT NULL, b NUMERIC NOT NULL, u REAL UNIQUE, v BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE mixed_loose (a INTEGER, b BLOB, c);
CREATE UNIQUE INDEX mixed_loose_c ON mixed_loose (c);
CREATE TABLE shadowed (rowid TEXT, oid INTEGER UNIQUE, v);
"""

_WORDS = ("red", "Red", "RED", "blue", "Blue", "green", "é", "É", "", "o'clock", 'say "hi"')
_ANY = (
    "1",
    "1.0",
    "'1'",
    "x'31'",
    "2",
    "2.5",
    "-0.0",
    "0",
    "0.0",
    "'a'",
    "'A'",
    "x'61'",
    "''",
    "x''",
    "1e300",
    "'a' || char(0) || 'b'",
    "9223372036854775807",
    "-9223372036854775808",
    "CAST(x'ff41' AS TEXT)",
)


@dataclass(frozen=True)
class _Table:
    name: str
    columns: dict[str, str]  # name: kind of value
    targets: tuple[str, ...]  # for ON CONFLICT


_ODD_NAME = '"odd ""name"" ö"'
_TABLES = (
    _Table(
        "person",
        {"id": "id", "name": "word!", "email": "word", "nick": "word", "score": "real"},
        ("(id)", "(email)", "(nick)"),
    ),
    _Table(
        "task",
        {"id": "id", "person_id": "int", "slot": "int", "active": "bool", "title": "word"},
        ("(id)", "(person_id, slot) WHERE active = 1", "(lower(title), slot)"),
    ),
    _Table("setting", {'"key"': "word!", "value": "blob", '"rank"': "int"}, ('("key")', '("rank")')),
    _Table("pair", {"a": "int!", "b": "word!", "n": "int", "v": "word"}, ("(b, a)", "(n) WHERE v IS NOT NULL")),
    _Table("tag", {"name": "word!", "n": "int"}, ("(name)",)),
    _Table("label", {"name": "word!", "n": "int"}, ("(name)", "(n)")),
    _Table("loose", {"a": "int", "b": "word", "c": "real", "rowid": "id"}, ("(b)",)),
    _Table("code", {"code": "word!", "label": "word", "n": "int", "_rowid_": "id"}, ("(code)", "(label)")),
    _Table("gen", {"id": "id", "a": "int", "w": "word"}, ("(id)", "(shout)")),
    _Table(
        _ODD_NAME,
        {'"select"': "id", '"group by"': "word", '"a b"': "word", '"ü\'x"': "int"},
        ('("select")', '("group by")'),
    ),
    _Table("filled", {"id": "id", "u": "word", "n": "int"}, ("(id)", "(u)", "(n) WHERE u <> 'blue'")),
    _Table("node", {"id": "id", "parent": "int", "friend": "int", "path": "word"}, ("(id)", "(path)")),
)
_STRICT_TABLES = (
    _Table("item", {"id": "id", "v": "word", "b": "blob", "u": "int"}, ("(id)", "(b)", "(u)")),
    _Table("measure", {"t": "real!", "n": "int!", "v": "word"}, ("(t, n)",)),
)
_ODD_TABLES = (
    _Table("mixed", {"k": "any!", "u": "any", "v": "any"}, ("(k)", "(u)")),
    _Table("mixed_pair", {"a": "any!", "b": "any!", "u": "any", "v": "any"}, ("(a, b)", "(u)")),
    _Table("mixed_loose", {"a": "any", "b": "any", "c": "any", "rowid": "id"}, ("(c)",)),
    _Table("shadowed", {"rowid": "any", "oid": "any", "v": "any", "_rowid_": "id"}, ("(oid)",)),
)
_OR = ("", "", "OR REPLACE ", "OR REPLACE ", "OR IGNORE ", "OR FAIL ", "OR ABORT ", "OR ROLLBACK ")


def statements_of(script: str) -> list[str]:
    """The statements of a script, one by one."""
    found, part = [], ""
    for line in script.strip().splitlines():
        part += line + "\n"
        if sqlite3.complete_statement(part):
            found.append(part.strip())
            part = ""
    return found


def random_statements(
    seed: int, n: int, *, strict: bool = True, odd: bool = False, pragmas: bool = True, only: Collection[str] = ()
) -> list[str]:
    """``n`` statements for those zoos, or for the tables ``only``.

    ``pragmas`` adds switches of recursive triggers and foreign keys.
    """
    random = Random(seed)
    tables = _TABLES + (_STRICT_TABLES if strict else ()) + (_ODD_TABLES if odd else ())
    if only:
        tables = tuple(table for table in tables if table.name in only)
    favourites = random.sample(tables, min(4, len(tables)))  # many statements on few tables meet each other
    kinds = (
        (_insert,) * 8 + (_update,) * 6 + (_delete,) * 2 + (_upsert,) * 3 + (_insert_select,) * 2 + (_transaction,) * 5
    )
    found = []
    for _ in range(n):
        if pragmas and random.random() < 0.03:
            found.append(_pragma(random))
        else:
            found.append(random.choice(kinds)(random, random.choice(favourites)))
    return found


def _value(random: Random, kind: str) -> str:
    bare = kind.rstrip("!")
    if not kind.endswith("!") and random.random() < (0.3 if bare == "id" else 0.1):
        return "NULL"
    if bare in ("int", "id"):
        return str(random.randint(-1, 8))
    if bare == "bool":
        return random.choice("01")
    if bare == "real":
        return random.choice(("0.5", "1.0", "2.0", "-3.25", "0.1 + 0.2", "1e100", "-0.0"))
    if bare == "blob":
        return random.choice(("x''", "x'00'", "x'00ff'", "x'616263'"))
    if bare == "any":
        return random.choice(_ANY)
    return "'" + random.choice(_WORDS).replace("'", "''") + "'"


def _some(random: Random, table: _Table) -> list[str]:
    """Columns to write: those that must have a value, and most of the others."""
    return [name for name, kind in table.columns.items() if kind.endswith("!") or random.random() < 0.8] or list(
        table.columns
    )[:1]


def _rows(random: Random, table: _Table, columns: list[str], most: int = 4) -> str:
    rows = range(random.choice((1, 1, 1, random.randint(1, most))))
    return ", ".join("(" + ", ".join(_value(random, table.columns[c]) for c in columns) + ")" for _ in rows)


def _insert(random: Random, table: _Table) -> str:
    columns = _some(random, table)
    return f"INSERT {random.choice(_OR)}INTO {table.name} ({', '.join(columns)}) VALUES {_rows(random, table, columns)}"


def _insert_select(random: Random, table: _Table) -> str:
    columns = _some(random, table)
    terms = [c if random.random() < 0.5 else _value(random, table.columns[c]) for c in columns]
    source = f"SELECT {', '.join(terms)} FROM {table.name} WHERE {_where(random, table)}"
    return f"INSERT {random.choice(_OR)}INTO {table.name} ({', '.join(columns)}) {source} LIMIT 3"


def _where(random: Random, table: _Table) -> str:
    column = random.choice(list(table.columns))
    return random.choice(
        (
            f"{column} = {_value(random, table.columns[column].rstrip('!') + '!')}",
            f"{column} > {_value(random, table.columns[column].rstrip('!') + '!')}",
            f"{column} IS NULL",
            f"{column} IS NOT NULL",
        )
    )


def _sets(random: Random, table: _Table) -> str:
    chosen = random.sample(list(table.columns), random.randint(1, 2))
    return ", ".join(f"{c} = {_new_value(random, c, table.columns[c])}" for c in chosen)


def _new_value(random: Random, column: str, kind: str) -> str:
    bare = kind.rstrip("!")
    roll = random.random()
    if bare in ("int", "id") and roll < 0.4:
        return random.choice((f"{column} + 1", f"-{column}", f"{column} * 2", "9 - " + column))
    if bare == "word" and roll < 0.3:
        return random.choice((f"upper({column})", f"lower({column})", f"{column} || 'x'"))
    return _value(random, kind)


def _update(random: Random, table: _Table) -> str:
    where = "" if random.random() < 0.1 else f" WHERE {_where(random, table)}"
    return f"UPDATE {random.choice(_OR)}{table.name} SET {_sets(random, table)}{where}"


def _delete(random: Random, table: _Table) -> str:
    if random.random() < 0.05:
        return f"DELETE FROM {table.name}"
    return f"DELETE FROM {table.name} WHERE {_where(random, table)}"


def _upsert(random: Random, table: _Table) -> str:
    columns = _some(random, table)
    target = random.choice(table.targets)
    action = "NOTHING" if random.random() < 0.2 else f"UPDATE SET {_sets(random, table)}"
    values = _rows(random, table, columns, 2)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {values} ON CONFLICT {target} DO {action}"


def _transaction(random: Random, _: _Table) -> str:
    return random.choice(
        (
            "BEGIN",
            "BEGIN IMMEDIATE",
            "COMMIT",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT a",
            "SAVEPOINT b",
            "RELEASE a",
            "ROLLBACK TO a",
            "ROLLBACK TO b",
            "RELEASE b",
        )
    )


def _pragma(random: Random) -> str:
    name = random.choice(("recursive_triggers", "foreign_keys", "defer_foreign_keys"))
    return f"PRAGMA {name} = {random.choice(('ON', 'OFF'))}"
