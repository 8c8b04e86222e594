"""The measured table, twelve columns wide, and what happens to it; the same every time.  Files stay in .bench/."""

from __future__ import annotations

import functools
import itertools
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

FOLDER = Path(__file__).parents[2] / ".bench"
TABLE = "measured"
NAMES = ("id", "i1", "i2", "i3", "i4", "i5", "r1", "r2", "r3", "t1", "t2", "t3")
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")

_VERSION = 1  # raise it when the data change: files of another version are not used
_PAGE_ROWS = 50_000
_MADE = 100_000  # events that are made beforehand

Row = tuple[int | float | str, ...]


def create(table: str) -> str:
    """DDL of a measured table.  DOUBLE, since pgloader makes a four-byte float of REAL and so has less to do."""
    integers = ", ".join(f"i{n} INTEGER" for n in range(1, 6))
    reals = ", ".join(f"r{n} DOUBLE" for n in range(1, 4))
    return f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {integers}, {reals}, t1 TEXT, t2 TEXT, t3 TEXT)"


def index(table: str) -> str:
    """DDL of its secondary index."""
    return f"CREATE INDEX {table}_i3 ON {table} (i3)"


@functools.cache
def insert(table: str) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * len(NAMES))})"


@functools.cache
def update(table: str) -> str:
    """Sets every column but the key, which comes last."""
    return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in NAMES[1:])} WHERE id = ?"


@functools.cache
def delete(table: str) -> str:
    return f"DELETE FROM {table} WHERE id = ?"


def row(source: random.Random, key: int) -> Row:
    """A row: integers of 1 to 5 bytes, reals below 1000, a word, three words, seven words."""
    integers = [source.getrandbits(8 * width) for width in range(1, 6)]
    reals = [source.random() * 1000 for _ in range(3)]
    words = source.choices(WORDS, k=10)
    return (key, *integers, *reals, words[0], f"{words[1]} {words[2]} {key}", " ".join(words[3:]))


class Event(NamedTuple):
    """One statement of the mix; ``row`` holds the key alone for a delete."""

    kind: Literal["insert", "update", "delete"]
    key: int
    rest: Row = ()


def mix(count: int, seed: int = 1, first: int = 1) -> Iterator[Event]:
    """60 % inserts, 30 % updates, 10 % deletes, of keys from ``first`` on."""
    source, keys, key = random.Random(seed), list[int](), first
    for _ in range(count):
        share = source.random()
        if share < 0.6 or len(keys) < 100:
            keys.append(key)
            yield Event("insert", key, row(source, key)[1:])
            key += 1
            continue
        place = source.randrange(len(keys))
        if share < 0.9:
            yield Event("update", keys[place], row(source, keys[place])[1:])
        else:
            keys[place], keys[-1] = keys[-1], keys[place]
            yield Event("delete", keys.pop())


def inserts_forever(table: str) -> Iterator[tuple[str, Event]]:
    """Inserts alone; keys are 1, 2, 3 and so on."""
    source = random.Random(1)
    made = [row(source, 0)[1:] for _ in range(_MADE)]
    for key in itertools.count(1):
        yield table, Event("insert", key, made[key % _MADE])


def mix_forever(tables: Sequence[str], part: int = 0) -> Iterator[tuple[str, Event]]:
    """The mix without end, the tables in turn; values are made beforehand and come again under other keys.

    Different parts have no key in common.
    """
    made = list(mix(_MADE))
    top = max(event.key for event in made)
    for turn in itertools.count(part * 1_000):
        for kind, key, rest in made:
            for table in tables:
                yield table, Event(kind, key + turn * top, rest)


def perform(db: sqlite3.Connection, table: str, event: Event) -> None:
    """Run the event's statement."""
    if event.kind == "insert":
        db.execute(insert(table), (event.key, *event.rest))
    elif event.kind == "update":
        db.execute(update(table), (*event.rest, event.key))
    else:
        db.execute(delete(table), (event.key,))


def connect(path: Path) -> sqlite3.Connection:
    """As an application would: WAL, synchronous=NORMAL, a busy timeout."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def filled(rows: int) -> Path:
    """A database whose measured table has so many rows; made once, never to be written to."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"rows-{rows}-v{_VERSION}.db"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        _remove(unfinished)
        _fill(unfinished, rows)
        unfinished.rename(path)
    return path


def copy_of(path: Path, folder: Path, name: str = "source.db") -> Path:
    """A copy that may be written to."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    _remove(target)
    shutil.copyfile(path, target)
    return target


def empty(folder: Path, tables: Sequence[str] = (TABLE,), name: str = "source.db") -> Path:
    """A new database with these measured tables, each with its index, and nothing in them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    _remove(path)
    with closing(connect(path)) as db:
        for table in tables:
            db.execute(create(table))
            db.execute(index(table))
    return path


def _fill(path: Path, rows: int) -> None:
    source = random.Random(rows)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute(create(TABLE))
        for start in range(1, rows + 1, _PAGE_ROWS):
            db.execute("BEGIN")
            page = range(start, min(start + _PAGE_ROWS, rows + 1))
            db.executemany(insert(TABLE), [row(source, key) for key in page])
            db.execute("COMMIT")
        db.execute(index(TABLE))
        db.execute("PRAGMA journal_mode = WAL")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
