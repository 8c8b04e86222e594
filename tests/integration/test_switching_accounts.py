"""The account that the switch's tests keep of writes can be wrong: each kind of wrong write is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons import wait_until
from switching import Application, SqliteSide, assert_accounts
from traffic import make_database

_NOBODY_LISTENS = "host=127.0.0.1 port=1"


@pytest.fixture
def application(tmp_path: Path) -> Application:
    """It has written to SQLite, and has ended."""
    with Application(make_database(tmp_path / "app.db"), _NOBODY_LISTENS, rate=200.0) as application:
        wait_until("it wrote", application.more(20))
    return application


@pytest.fixture
def side(tmp_path: Path, application: Application) -> Iterator[SqliteSide]:
    with closing(SqliteSide(tmp_path / "app.db")) as side:
        assert_accounts(application, side)
        yield side


def _spoil(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "app.db")) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM receipt WHERE writer = 1 AND number = 3", r"1 of \d+ acknowledged writes are lost: \[\(1, 3\)\]"),
        ("INSERT INTO receipt VALUES (1, 999999, '')", r"1 writes that nobody was told are done: \[\(1, 999999\)\]"),
        ("UPDATE bulk SET a = a + 1 WHERE id = 5", r"(\d+) transactions raised the counters by (?!\1\b)"),
        ("UPDATE bulk SET a = a - 1 WHERE id = 5", r"(\d+) transactions raised the counters by (?!\1\b)"),
        ("UPDATE account SET balance = balance + 1 WHERE id = 5", "money was made or lost"),
    ],
)
def test_what_is_lost_or_extra_or_done_twice_is_found(
    application: Application, side: SqliteSide, tmp_path: Path, sql: str, found: str
) -> None:
    _spoil(tmp_path, sql)
    with pytest.raises(AssertionError, match=found):
        assert_accounts(application, side)


def test_a_receipt_that_is_there_twice_is_found(application: Application, side: SqliteSide, tmp_path: Path) -> None:
    """As may be where the replica's table has lost its key."""
    for sql in ("ALTER TABLE receipt RENAME TO keyed", "CREATE TABLE receipt AS SELECT * FROM keyed"):
        _spoil(tmp_path, sql)
    _spoil(tmp_path, "INSERT INTO receipt SELECT * FROM keyed WHERE writer = 0 AND number = 1")
    with pytest.raises(AssertionError, match=r"doubled: \[\(0, 1\)\]"):
        assert_accounts(application, side)


@pytest.mark.parametrize("made", [False, True])
def test_a_write_of_unknown_fate_may_be_there_or_not(
    application: Application, side: SqliteSide, tmp_path: Path, *, made: bool
) -> None:
    application.writers[0].unknown.add((0, 999_999))
    if made:
        _spoil(tmp_path, "INSERT INTO receipt VALUES (0, 999999, '')")
        _spoil(tmp_path, "UPDATE bulk SET a = a + 1 WHERE id = 5")
    assert_accounts(application, side)


def test_one_writer_that_stands_still_is_no_getting_on(tmp_path: Path) -> None:
    with Application(make_database(tmp_path / "app.db"), _NOBODY_LISTENS, rate=200.0) as application:
        wait_until("it wrote", application.more(20))
        application.writers[1].end()
        more, others = application.more(20), len(application.writers[0].acknowledged)
        wait_until("the other one wrote", lambda: len(application.writers[0].acknowledged) > others + 20)
        assert not more()
