"""Every codec through a real PostgreSQL: in by binary COPY and by statement, out in binary and in text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from shared.columns import Codec
from shared.columns.affinity import same_value
from shared.postgres.connection import connect
from sqlite_values import TAKEN


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(connect(postgres_dsn, application_name="test")) as connection:
        yield connection


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
def test_what_a_codec_takes_is_the_same_after_a_copy(db: psycopg.Connection[Any], *, binary: bool) -> None:
    for number, (pg_type, codec, values) in enumerate(TAKEN):
        db.execute(sql.SQL("CREATE TABLE {} (n int, c {})").format(_name(number), sql.SQL(pg_type)))
        _check(db, number, codec, st.lists(st.none() | values, min_size=1, max_size=20), binary=binary)


def test_what_a_codec_takes_is_the_same_after_a_statement(db: psycopg.Connection[Any]) -> None:
    for number, (pg_type, codec, values) in enumerate(TAKEN):
        db.execute(sql.SQL("CREATE TABLE {} (n int, c {})").format(_name(number), sql.SQL(pg_type)))
        _check_one_by_one(db, number, pg_type, codec, st.lists(values, min_size=1, max_size=5))


def _check(db: psycopg.Connection[Any], number: int, codec: Codec, lists: Any, *, binary: bool) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(lists)
    def survives(values: list[Any]) -> None:
        table = _name(number)
        db.execute(sql.SQL("TRUNCATE {}").format(table))
        with db.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(table)) as copy:
            copy.set_types([23, codec.oid])
            for place, there in enumerate(codec.to_copy(values)):
                copy.write_row((place, there))
        _compare(db, number, codec, values, binary=binary)

    survives()


def _check_one_by_one(db: psycopg.Connection[Any], number: int, pg_type: str, codec: Codec, lists: Any) -> None:
    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(lists)
    def survives(values: list[Any]) -> None:
        table = _name(number)
        db.execute(sql.SQL("TRUNCATE {}").format(table))
        insert = sql.SQL("INSERT INTO {} VALUES (%s, %s::{})").format(table, sql.SQL(pg_type))
        with db.cursor() as cursor:
            cursor.executemany(insert, list(enumerate(codec.to_postgres_column(values))))
        _compare(db, number, codec, values, binary=True)

    survives()


def _compare(db: psycopg.Connection[Any], number: int, codec: Codec, values: list[Any], *, binary: bool) -> None:
    select = sql.SQL("SELECT c FROM {} ORDER BY n").format(_name(number))
    back = [codec.to_sqlite(value) for (value,) in db.execute(select, binary=binary).fetchall()]
    assert all(map(same_value, back, values)), (codec.name, values, back)


def _name(number: int) -> sql.Identifier:
    return sql.Identifier(f"t{number}")
