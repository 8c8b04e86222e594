"""Rows that PostgreSQL keeps apart and SQLite would take for one: never merged, and passed once they are mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from replay import Captured
from replicas import Follower, copy_closed
from shared import wire
from shared.errors import Stop
from shared.groups import Abandoned, Change, Event, Frame, Header, Kind, Position, RawText
from shared.sqlite.connection import connect, fetch_rows
from sink.applier import Applied, Applier, Limits, Standing
from sink.replica import Unsettled

DDL = """
CREATE TABLE spaced (k TEXT COLLATE RTRIM PRIMARY KEY, v);
CREATE TABLE cased (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE loose (k PRIMARY KEY, v);
CREATE TABLE bare (a TEXT COLLATE NOCASE, b, PRIMARY KEY (a, b));
CREATE TABLE seat (id INTEGER PRIMARY KEY, place INTEGER UNIQUE, v);
INSERT INTO seat VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z');
"""
MERGED = "PostgreSQL has two rows whose keys are one and the same to SQLite"


class Fed:
    """An applier of small batches before a SQLite replica, fed with groups by hand."""

    def __init__(self, follower: Follower, most: int = 2) -> None:
        self.follower = follower
        self.number, self.seq = 10, 0
        standing = Standing("", 0, follower.schema)
        self.applier = Applier(follower.replica, standing, Limits(most, 1_000_000), self)
        self.commits = 0

    def applied(self, _applied: Applied) -> None:
        self.commits += 1

    def group(self, *changes: tuple[Any, ...], kind: Kind = "changes", last: bool = True) -> list[Event]:
        """One change a frame; a group that is not ended goes on with the next."""
        first, frames = self.seq + 1, []
        self.number += 1
        self.seq += len(changes)
        rows = [Change(table, op, 1, 0, tuple(row)) for table, op, *row in changes]
        pieces = [piece for row in rows for piece in wire.encode_changes([row])] or [b""]
        for place, piece in enumerate(pieces):
            ends = last and place == len(pieces) - 1
            header = Header(
                "s",
                "pg",
                "w",
                2,
                self.number,
                kind,
                epoch=1,
                first_seq=first,
                last_seq=self.seq,
                frame=place,
                last=ends,
            )
            frames.append(Frame(header, Position(2, self.number, 100 * self.number + place), piece))
        return list(frames)

    def apply(self, *events: list[Event]) -> None:
        self.applier.apply([event for some in events for event in some])

    def torn(self, *changes: tuple[Any, ...]) -> list[Event]:
        """The beginning of a group whose writer died; the next one has its number."""
        frames = self.group(*changes, last=False)
        self.number -= 1
        self.seq -= len(changes)
        return [*frames, Abandoned(2, self.number + 1)]

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(connect(self.follower.path, readonly=True)) as db:
            return fetch_rows(db, sql)


@pytest.fixture
def follower(capture: Callable[[str], Captured], tmp_path: Any) -> Iterator[Follower]:
    captured = capture(DDL)
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    with closing(Follower(captured.app, path, captured.schema)) as made:
        yield made


@pytest.fixture
def fed(follower: Follower) -> Fed:
    return Fed(follower)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("table", "one", "other"),
    [
        ("spaced", ("anna",), ("anna  ",)),
        ("cased", ("anna",), ("ANNA",)),
        ("loose", (1,), (1.0,)),
        ("loose", (2**53,), (2.0**53,)),
        ("bare", ("a", 1), ("A", 1)),
        ("bare", ("a", 1), ("a", 1.0)),
        ("bare", (RawText(b"\xffa"), 1), (RawText(b"\xffA"), 1)),
    ],
)
def test_rows_with_keys_that_only_postgresql_tells_apart_are_never_merged(
    follower: Follower, table: str, one: tuple[Any, ...], other: tuple[Any, ...], *, together: bool
) -> None:
    values = () if table == "bare" else ("v",)
    first, second = (Change(table, "c", 1, 0, (*key, *values)) for key in (one, other))
    if not together:
        follower.write([first])
    with pytest.raises(Unsettled, match=MERGED) as held:
        follower.write([first, second] if together else [second])
    assert f"table {table}, key " in str(held.value)
    with closing(connect(follower.path, readonly=True)) as db:
        assert fetch_rows(db, f"SELECT count(*) FROM {table}") == [(int(not together),)]


def test_both_keys_and_the_way_out_are_named(follower: Follower) -> None:
    follower.write([Change("cased", "c", 1, 0, ("anna", 1))])
    with pytest.raises(Unsettled) as held:
        follower.write([Change("cased", "c", 1, 0, ("ANNA", 2))])
    assert str(held.value) == (
        f"{MERGED} ({follower.path}, table cased, key 'ANNA' and key 'anna'). "
        "Change one of the keys in PostgreSQL and start the sink again; nothing is lost, the stream waits"
    )


@pytest.mark.parametrize(
    ("table", "old", "new"), [("cased", "a", "A"), ("spaced", "a", "a "), ("loose", 1, 1.0), ("loose", 2.0, 2)]
)
def test_a_row_may_get_a_key_that_sqlite_takes_for_the_one_it_had(fed: Fed, table: str, old: Any, new: Any) -> None:
    fed.apply(fed.group((table, "c", old, "v")))
    fed.apply(fed.group((table, "k", old, "v"), (table, "c", new, "w")))
    fed.apply(fed.group((table, "u", new, "x")))
    found = fed.read(f"SELECT * FROM {table}")
    assert [(type(k), k, v) for k, v in found] == [(type(new), new, "x")]


def test_a_large_group_may_bring_the_new_key_long_before_the_old_one_goes(fed: Fed) -> None:
    fed.apply(fed.group(("cased", "c", "a", "old")))
    between = [("seat", "u", 1, 1, number) for number in range(5)]
    fed.apply(fed.group(("cased", "c", "A", "new"), *between, ("cased", "u", "A", "newer"), ("cased", "d", "a", "old")))
    assert fed.read("SELECT * FROM cased") == [("A", "newer")]
    assert fed.read("SELECT v FROM seat WHERE id = 1") == [(4,)]


def test_unique_values_may_go_round_within_a_large_group(fed: Fed) -> None:
    between = [("loose", "c", number, "v") for number in range(5)]
    fed.apply(
        fed.group(("seat", "u", 1, 2, "x"), *between, ("seat", "u", 2, 3, "y"), *between, ("seat", "u", 3, 1, "z"))
    )
    assert fed.read("SELECT id, place FROM seat ORDER BY id") == [(1, 2), (2, 3), (3, 1)]


def test_a_row_that_waits_may_go_again(fed: Fed) -> None:
    fed.apply(fed.group(("cased", "c", "a", "old")))
    between = [("seat", "u", 1, 1, number) for number in range(5)]
    fed.apply(fed.group(("cased", "c", "A", "new"), *between, ("cased", "d", "A", "new")))
    assert fed.read("SELECT * FROM cased") == [("a", "old")]


@pytest.mark.parametrize(("gone", "kept"), [("a", "A"), ("A", "a")])
def test_a_later_group_that_mends_it_lets_all_of_them_pass_at_once(fed: Fed, gone: str, kept: str) -> None:
    fed.apply(fed.group(("cased", "c", "a", "v"), ("cased", "c", "b", "v")))
    fed.apply(fed.group(("cased", "d", "b", "v"), ("cased", "c", "B", "v"), ("cased", "c", "A", "v")))
    assert fed.commits == 1
    assert "key 'A' and key 'a'" in str(fed.applier.unsettled)
    fed.apply(fed.group(kind="barrier"))
    fed.apply(fed.torn(*[("seat", "d", number, number, "x") for number in (1, 2, 3)]))
    fed.apply(fed.group(*[("seat", "u", 1, 1, number) for number in range(5)]))
    assert fed.read("SELECT k FROM cased ORDER BY k") == [("a",), ("b",)]
    fed.apply(fed.group(("cased", "d", gone, "v")))
    assert fed.applier.unsettled is None
    assert fed.commits == 2
    assert fed.read("SELECT k FROM cased ORDER BY k") == [(kept,), ("B",)]
    assert fed.read("SELECT v FROM seat ORDER BY id") == [(4,), ("y",), ("z",)]


def test_what_follows_is_checked_as_ever_while_a_row_waits(fed: Fed) -> None:
    fed.apply(fed.group(("cased", "c", "a", "old"), ("cased", "c", "A", "new")))
    fed.seq += 1
    with pytest.raises(Stop, match="where 3 is due"):
        fed.apply(fed.group(("cased", "d", "a", "old")))
