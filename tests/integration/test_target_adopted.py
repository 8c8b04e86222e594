"""Tables that are there already are used where they do, and refused with what to do where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from shared.errors import BadInput
from shared.postgres.connection import connect
from shared.tables import Column, ForeignKey, Schema, Table
from sink.postgres.target import create_tables, finish

TABLE = Table(
    "t",
    (Column("id", "INTEGER", "INTEGER", not_null=True), Column("c", "TEXT", "TEXT")),
    ("id",),
    identity="id",
)
SCHEMA = Schema((TABLE,))


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(connect(postgres_dsn, application_name="test")) as opened:
        yield opened


def rows(db: psycopg.Connection[Any]) -> int:
    row = db.execute("SELECT count(*) FROM t").fetchone()
    assert row
    return int(row[0])


def test_an_empty_table_that_fits_is_used(db: psycopg.Connection[Any]) -> None:
    db.execute(
        "CREATE TABLE t (id int PRIMARY KEY, c varchar(20), extra text, stamped timestamptz NOT NULL DEFAULT now())"
    )
    assert create_tables(db, SCHEMA, {}, "refuse") == (set(), [])


def test_rows_that_are_there_are_refused_with_both_ways_out(db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    with pytest.raises(BadInput) as error:
        create_tables(db, SCHEMA, {}, "refuse")
    assert str(error.value) == (
        "the target table is there and holds 2 rows (table t). "
        'Empty or drop it, or set existing = "replace" to delete its rows, or "match" to keep them'
    )
    assert rows(db) == 2


def test_match_keeps_the_rows_and_replace_deletes_them(db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text); INSERT INTO t VALUES (1, 'a')")
    create_tables(db, SCHEMA, {}, "match")
    assert rows(db) == 1
    create_tables(db, SCHEMA, {}, "replace")
    assert rows(db) == 0


def test_replace_deletes_children_before_their_parents(db: psycopg.Connection[Any]) -> None:
    child = Table("k", TABLE.columns, ("id",), foreign_keys=(ForeignKey(("id",), "t", ("id",)),))
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text); CREATE TABLE k (id int PRIMARY KEY REFERENCES t, c text)")
    db.execute("INSERT INTO t VALUES (1); INSERT INTO k VALUES (1)")
    create_tables(db, Schema((TABLE, child)), {}, "replace")
    assert rows(db) == 0


@pytest.mark.parametrize("role", ["origin", "replica"])
def test_replace_refuses_where_a_table_outside_refers_to_the_rows(db: psycopg.Connection[Any], role: str) -> None:
    """A sink that silences PostgreSQL's own checks would leave the others' rows without a parent."""
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text); CREATE TABLE k (id int PRIMARY KEY REFERENCES t)")
    db.execute("INSERT INTO t VALUES (1); INSERT INTO k VALUES (1)")
    db.execute(f"SET session_replication_role = {role}".encode())
    with pytest.raises(BadInput, match=r"table that is not replicated \(table t, constraint k_id_fkey"):
        create_tables(db, SCHEMA, {}, "replace")
    assert rows(db) == 1


@pytest.mark.parametrize("action", ["ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE"])
def test_a_key_that_acts_is_refused_where_it_cannot_be_silenced(db: psycopg.Connection[Any], action: str) -> None:
    """What it did at the source is in the log; done once more, it takes rows that were written back before."""
    child = Table("k", TABLE.columns, ("id",), foreign_keys=(ForeignKey(("c",), "t", ("c",)),))
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text UNIQUE)")
    db.execute(f"CREATE TABLE k (id int PRIMARY KEY, c text REFERENCES t (c) {action})".encode())
    with pytest.raises(BadInput, match="acts on its own") as refused:
        create_tables(db, Schema((TABLE, child)), {}, "refuse")
    assert "session_replication_role" in refused.value.remedy
    db.execute("SET session_replication_role = replica")
    assert create_tables(db, Schema((TABLE, child)), {}, "refuse") == (set(), [])


def test_a_key_that_acts_only_on_a_change_of_the_key_itself_is_taken(db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY, c text)")
    db.execute("CREATE TABLE k (id int PRIMARY KEY REFERENCES t ON UPDATE CASCADE, c text)")
    child = Table("k", TABLE.columns, ("id",), foreign_keys=(ForeignKey(("id",), "t", ("id",)),))
    assert create_tables(db, Schema((TABLE, child)), {}, "refuse") == (set(), [])


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY)", "has no column c"),
        ("CREATE TABLE t (id int, c text)", "no primary key or unique constraint on id"),
        ("CREATE TABLE t (id int UNIQUE DEFERRABLE, c text)", "no primary key or unique constraint on id"),
        ("CREATE TABLE t (id int UNIQUE, c text)", "allows NULL in id, its key"),
        ("CREATE TABLE t (id int, c text); CREATE UNIQUE INDEX ON t (id) WHERE c = ''", "no primary key or unique"),
        ("CREATE TABLE t (id int PRIMARY KEY, c text, must text NOT NULL)", "asks for a value of must"),
        ("CREATE TABLE t (id int PRIMARY KEY, c money)", "type money is none"),
        ("CREATE TABLE t (id int PRIMARY KEY, c text[])", "is none"),
        ("CREATE VIEW t AS SELECT 1 AS id, 'a'::text AS c", "no primary key or unique constraint on id"),
    ],
)
def test_a_table_that_does_not_do_is_refused(db: psycopg.Connection[Any], ddl: str, words: str) -> None:
    db.execute(ddl.encode())
    with pytest.raises(BadInput, match=words):
        create_tables(db, SCHEMA, {}, "match")


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY, c text) PARTITION BY RANGE (id)", "is partitioned"),
        (
            "CREATE TABLE p (id int, c text) PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF p DEFAULT",
            "is a partition of another one",
        ),
        ("CREATE TABLE t (id int PRIMARY KEY, c text); CREATE TABLE k () INHERITS (t)", "has tables that inherit"),
        ("CREATE TABLE p (id int, c text); CREATE TABLE t (PRIMARY KEY (id)) INHERITS (p)", "inherits from another"),
    ],
)
def test_a_table_that_is_written_without_its_triggers_being_asked_is_refused(
    db: psycopg.Connection[Any], ddl: str, words: str
) -> None:
    db.execute(ddl.encode())
    with pytest.raises(BadInput, match=rf"{words}.*not guarded \(table t\). Make it an ordinary table"):
        create_tables(db, SCHEMA, {}, "match")


def test_a_table_that_a_crash_of_the_server_empties_is_refused(db: psycopg.Connection[Any]) -> None:
    """The ledger beside it says that all is applied, and stays."""
    db.execute("CREATE UNLOGGED TABLE t (id int PRIMARY KEY, c text)")
    with pytest.raises(BadInput, match=r"is unlogged: a crash of the server empties it \(table t\)"):
        create_tables(db, SCHEMA, {}, "match")
    db.execute("ALTER TABLE t SET LOGGED")
    create_tables(db, SCHEMA, {}, "match")


@pytest.fixture
def folding(db: psycopg.Connection[Any]) -> None:
    """A collation "C i" to which texts are equal that differ in case."""
    try:
        db.execute("CREATE COLLATION \"C i\" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "ddl",
    [
        'CREATE TABLE t (id text COLLATE "C i" PRIMARY KEY, c text)',
        'CREATE DOMAIN named AS text COLLATE "C i"; CREATE TABLE t (id named PRIMARY KEY, c text)',
    ],
)
@pytest.mark.usefixtures("folding")
def test_a_key_to_which_different_texts_are_equal_is_refused(db: psycopg.Connection[Any], ddl: str) -> None:
    """There a change of the key's case is no change of the key, and the row would be twice in SQLite."""
    named = Table("t", (Column("id", "TEXT", "TEXT", not_null=True), Column("c", "TEXT", "TEXT")), ("id",))
    db.execute(ddl.encode())
    with pytest.raises(BadInput) as error:
        create_tables(db, Schema((named,)), {}, "match")
    assert str(error.value) == (
        'the key has the nondeterministic collation "C i", to which different texts are equal (table t, column id). '
        'Give the column a deterministic one: ALTER TABLE ... ALTER COLUMN ... TYPE ... COLLATE "C"'
    )
    db.execute('ALTER TABLE t ALTER COLUMN id TYPE text COLLATE "C"')
    assert create_tables(db, Schema((named,)), {}, "match") == (set(), [])


@pytest.mark.usefixtures("folding")
def test_any_other_column_may_have_such_a_collation(db: psycopg.Connection[Any]) -> None:
    db.execute('CREATE TABLE t (id int PRIMARY KEY, c text COLLATE "C i")')
    assert create_tables(db, SCHEMA, {}, "match") == (set(), [])


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TYPE colour AS ENUM ('red'); CREATE TABLE t (id int PRIMARY KEY, c colour)",
        "CREATE DOMAIN short AS varchar(9) CHECK (value <> ''); CREATE TABLE t (id int PRIMARY KEY, c short)",
        "CREATE TABLE t (id smallint PRIMARY KEY, c char(3))",
        "CREATE TABLE t (id numeric(20) UNIQUE NOT NULL, c jsonb)",
        "CREATE TABLE t (id bigserial PRIMARY KEY, c timestamptz(3))",
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, c time)",
    ],
)
def test_types_of_other_tools_are_taken(db: psycopg.Connection[Any], ddl: str) -> None:
    db.execute(ddl.encode())
    assert create_tables(db, SCHEMA, {}, "refuse") == (set(), [])


def test_an_adopted_table_gets_no_foreign_keys_but_its_sequence_goes_on(db: psycopg.Connection[Any]) -> None:
    own = Table("t", TABLE.columns, ("id",), identity="id", foreign_keys=(ForeignKey(("id",), "t", ("id",)),))
    db.execute("CREATE TABLE t (id bigserial PRIMARY KEY, c text)")
    made, _ = create_tables(db, Schema((own,)), {}, "refuse")
    db.execute("INSERT INTO t VALUES (41)")
    assert finish(db, Schema((own,)), made) == []
    assert db.execute("INSERT INTO t DEFAULT VALUES RETURNING id").fetchone() == (42,)
    assert db.execute("SELECT count(*) FROM pg_constraint WHERE contype = 'f'").fetchone() == (0,)
