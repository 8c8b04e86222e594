"""Sequences that no column owns, and that several tables may share, before a real PostgreSQL is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from fix_roles import Roles
from numbering import insert
from shared.errors import BadInput, Stop
from shared.postgres.connection import translated
from shared.postgres.sequences import last_numbers, raise_sequences
from shared.tables import ROWID, Column, Schema, Table
from sink.postgres.target import create_tables, finish

DDL = f"""
CREATE SCHEMA "else where";
CREATE SEQUENCE gid;
CREATE SEQUENCE "else where"."odd ""n"" ame";
CREATE TABLE plain (id bigint PRIMARY KEY DEFAULT nextval('gid'), note text);
CREATE TABLE again (id bigint PRIMARY KEY DEFAULT nextval('gid'), note text);
CREATE TABLE owner (id bigserial PRIMARY KEY, note text);
CREATE TABLE guest (id bigint PRIMARY KEY DEFAULT nextval('owner_id_seq'), note text);
CREATE TABLE keyless ({ROWID} bigint PRIMARY KEY DEFAULT 100 + nextval('"else where"."odd ""n"" ame"'), note text);
"""
NOTE = Column("note", "TEXT", "TEXT")
NAMES = ("plain", "again", "owner", "guest")


def counted(name: str) -> Table:
    return Table(name, (Column("id", "INTEGER", "INTEGER", not_null=True), NOTE), ("id",), identity="id")


KEYLESS = Table("keyless", (Column(ROWID, "INTEGER", "INTEGER", not_null=True), NOTE), (ROWID,), "rowid")
SCHEMA = Schema((*map(counted, NAMES), KEYLESS))
PLAIN = Schema((counted("plain"),))


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(DDL.encode())
        yield db


@pytest.mark.parametrize("highest", [("plain", "again"), ("again", "plain"), ("owner", "guest"), ("guest", "owner")])
def test_a_sequence_goes_on_behind_the_rows_of_all_tables_that_share_it(
    db: psycopg.Connection[Any], highest: tuple[str, str]
) -> None:
    for table, number in zip(highest, (41, 7), strict=True):
        db.execute(f"INSERT INTO {table} VALUES ({number}, 'the sink')".encode())
    raise_sequences(db, SCHEMA, {})
    assert [insert(db, table) for table in highest] == [42, 43]


def test_a_sequence_of_another_schema_goes_on_behind_the_rows(db: psycopg.Connection[Any]) -> None:
    db.execute("INSERT INTO keyless VALUES (41, 'the sink')")
    raise_sequences(db, SCHEMA, {})
    assert insert(db, "keyless") == 142


def test_a_shared_sequence_goes_on_behind_what_was_given_out_for_any_of_its_tables(db: psycopg.Connection[Any]) -> None:
    db.execute("INSERT INTO plain VALUES (41, 'the sink')")
    raise_sequences(db, SCHEMA, {"plain": 50, "again": 90})
    assert insert(db, "plain") == 91


def test_a_shared_sequence_is_never_set_back(db: psycopg.Connection[Any]) -> None:
    db.execute("SELECT setval('gid', 50)")
    db.execute("INSERT INTO again VALUES (7, 'the sink')")
    raise_sequences(db, SCHEMA, {"plain": 41})
    assert insert(db, "again") == 51


def test_the_last_number_of_a_shared_sequence_counts_for_each_of_its_tables(db: psycopg.Connection[Any]) -> None:
    assert last_numbers(db, SCHEMA) == {}
    insert(db, "plain")
    insert(db, "again")
    assert last_numbers(db, SCHEMA) == {"plain": 2, "again": 2}


def test_of_two_sequences_the_one_that_a_column_owns_and_the_one_that_fills_it_both_go_on(
    db: psycopg.Connection[Any],
) -> None:
    db.execute("ALTER TABLE owner ALTER id SET DEFAULT nextval('gid')")
    db.execute("INSERT INTO owner VALUES (41, 'the sink')")
    raise_sequences(db, SCHEMA, {})
    assert [insert(db, "owner"), insert(db, "guest")] == [42, 42]
    insert(db, "owner")
    assert last_numbers(db, SCHEMA)["owner"] == 43


def test_a_shared_sequence_that_ends_too_early_is_refused_and_none_is_moved(db: psycopg.Connection[Any]) -> None:
    db.execute("ALTER SEQUENCE gid MAXVALUE 40")
    db.execute("INSERT INTO again VALUES (41, 'the sink')")
    with pytest.raises(Stop, match=r"ends at 40, .* \(table again, sequence public\.gid\)"):
        raise_sequences(db, SCHEMA, {"owner": 90})
    assert last_numbers(db, SCHEMA) == {}


def test_it_goes_on_behind_the_rows_of_an_adopted_table_once_they_are_copied(db: psycopg.Connection[Any]) -> None:
    made, _ = create_tables(db, PLAIN, {}, "refuse")
    db.execute("INSERT INTO plain VALUES (41, 'the sink')")
    assert finish(db, PLAIN, made) == []
    assert insert(db, "again") == 42


@pytest.fixture
def weak(roles: Roles) -> Iterator[psycopg.Connection[Any]]:
    """The sink's role, whose owner has the table but not its sequence."""
    names = {role: sql.Identifier(roles.name(role)) for role in ("owner", "sink")}
    with psycopg.connect(roles.superuser, autocommit=True) as db:
        db.execute("CREATE SEQUENCE gid; CREATE TABLE plain (id bigint PRIMARY KEY DEFAULT nextval('gid'), note text)")
        db.execute(sql.SQL("ALTER TABLE plain OWNER TO {owner}").format(**names))
    with psycopg.connect(roles.dsn("sink"), autocommit=True) as db:
        yield db


def test_a_sequence_that_the_role_may_not_set_is_refused_when_its_table_is_adopted(
    weak: psycopg.Connection[Any], roles: Roles
) -> None:
    with pytest.raises(
        BadInput, match=r"may not read and set the sequence public\.gid \(table plain, column id\)"
    ) as refused:
        create_tables(weak, PLAIN, {}, "refuse")
    with psycopg.connect(roles.superuser, autocommit=True) as db:
        db.execute(refused.value.remedy.removeprefix("As its owner: ").encode())
    create_tables(weak, PLAIN, {}, "refuse")
    weak.execute("INSERT INTO plain VALUES (41, 'the sink')")
    raise_sequences(weak, PLAIN, {})
    assert last_numbers(weak, PLAIN) == {"plain": 41}


def test_a_right_that_was_lost_since_is_named_with_the_grant_that_gives_it(weak: psycopg.Connection[Any]) -> None:
    weak.execute("INSERT INTO plain VALUES (41, 'the sink')")
    with pytest.raises(BadInput, match="GRANT ALL ON SEQUENCE gid"), translated():
        raise_sequences(weak, PLAIN, {})
