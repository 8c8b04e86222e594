"""What the operator reads when PostgreSQL refuses, is away, or breaks off; and what a session is set to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.embedded_postgres import EmbeddedPostgres
from shared.errors import BadInput, Hold, Retry, Stop
from shared.postgres.connection import connect, translated
from shared.postgres.tries import short_tries

SECRET = "pa55-word"


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(connect(postgres_dsn, application_name="test")) as opened:
        yield opened


def other(dsn: str, **parts: Any) -> str:
    return make_conninfo(**{**conninfo_to_dict(dsn), **parts})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"password": SECRET}, "password authentication failed"),
        ({"user": "nobody_here", "password": SECRET}, "password authentication failed"),
        ({"dbname": "no_such_database"}, 'database "no_such_database" does not exist'),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"sslmode": "sometimes", "password": SECRET}, "invalid sslmode"),
    ],
)
def test_a_wrong_target_is_bad_input_without_its_password(postgres_dsn: str, parts: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput) as error:
        connect(other(postgres_dsn, **parts), application_name="test")
    assert words in str(error.value)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dsn", [f"postgres//joe:{SECRET}@host/db", f"host=h password={SECRET} nonsense"])
def test_what_is_no_connection_string_is_not_repeated(dsn: str) -> None:
    with pytest.raises(BadInput) as error:
        connect(dsn, application_name="test")
    assert SECRET not in str(error.value)


def test_a_server_that_does_not_answer_is_tried_again(postgres_dsn: str) -> None:
    with pytest.raises(Retry, match="cannot be reached"):
        connect(other(postgres_dsn, port="1"), application_name="test")


def test_a_restart_is_waited_for_and_then_all_goes_on(own_postgres: EmbeddedPostgres) -> None:
    with closing(connect(own_postgres.dsn, application_name="test")) as db:
        own_postgres.stop("immediate")
        with pytest.raises(Retry), translated("a query"):
            db.execute("SELECT 1")
        with pytest.raises(Retry):
            connect(own_postgres.dsn, application_name="test")
        own_postgres.start()
    with closing(connect(own_postgres.dsn, application_name="test")) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_was_cut_is_tried_again(db: psycopg.Connection[Any], postgres_dsn: str) -> None:
    with closing(connect(postgres_dsn, application_name="test")) as cut:
        db.execute("SELECT pg_terminate_backend(%s)", (cut.info.backend_pid,))
        with pytest.raises(Retry), translated("a query"):
            cut.execute("SELECT 1")


def test_a_missing_right_names_the_object_and_the_grant(db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE kept (id int); DROP ROLE IF EXISTS poor; CREATE ROLE poor; SET ROLE poor")
    with pytest.raises(BadInput) as error, translated("the copy"):
        db.execute("SELECT * FROM kept")
    db.execute("RESET ROLE; DROP ROLE poor")
    assert "permission denied for table kept" in error.value.what
    assert error.value.remedy == "As its owner: GRANT ALL ON TABLE kept TO the role"


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("INSERT INTO t VALUES ('my secret')", ""),
        ("INSERT INTO t VALUES (1), (1)", "table t, constraint t_pkey"),
        ("INSERT INTO t VALUES (NULL)", "table t, column n"),
        ("INSERT INTO t VALUES (-1)", "table t, constraint t_n_check"),
    ],
)
def test_a_row_that_is_refused_holds_the_stream_and_shows_no_value(
    db: psycopg.Connection[Any], statement: str, where: str
) -> None:
    db.execute("CREATE TABLE t (n int PRIMARY KEY CHECK (n > 0))")
    with pytest.raises(Hold) as error, translated():
        db.execute(statement.encode())
    assert error.value.where == where
    assert "secret" not in str(error.value)


def test_a_deadlock_is_tried_again() -> None:
    with pytest.raises(Retry), translated():
        raise psycopg.errors.DeadlockDetected


def test_a_broken_statement_stops(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(Stop), translated("here"):
        db.execute("SELEKT")


def test_the_session_does_not_depend_on_the_settings_of_the_database(postgres_dsn: str) -> None:
    name = conninfo_to_dict(postgres_dsn)["dbname"]
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        for setting in ("TimeZone = 'Asia/Kolkata'", "DateStyle = 'German'", "extra_float_digits = -5"):
            db.execute(f'ALTER DATABASE "{name}" SET {setting}'.encode())
    with closing(connect(postgres_dsn, application_name="test")) as session:
        shown = session.execute("SELECT '2024-01-02 00:00Z'::timestamptz::text, 0.1::float8 + 0.2::float8").fetchone()
    assert shown == ("2024-01-02 00:00:00+00", 0.1 + 0.2)


@pytest.mark.parametrize(("given", "used"), [("off", "local"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_what_is_committed_is_on_the_disk_whatever_the_database_leaves_to_chance(
    postgres_dsn: str, given: str, used: str
) -> None:
    """A crash would take back the fence of a side, behind which the other one was opened."""
    name = conninfo_to_dict(postgres_dsn)["dbname"]
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {given}'.encode())
    with closing(connect(postgres_dsn, application_name="test")) as session:
        assert session.execute("SHOW synchronous_commit").fetchone() == (used,)


def test_types_have_their_names_where_the_database_quotes_all_of_them(postgres_dsn: str) -> None:
    name = conninfo_to_dict(postgres_dsn)["dbname"]
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(f'ALTER DATABASE "{name}" SET quote_all_identifiers = on'.encode())
    with closing(connect(postgres_dsn, application_name="test")) as session:
        assert session.execute("SELECT format_type('text'::regtype, NULL)").fetchone() == ("text",)


@pytest.mark.parametrize(("timeout", "tries"), [("1s", [25, 250, 250]), ("100ms", [25, 50, 50]), ("1ms", [1, 1, 1])])
def test_short_tries_are_over_before_anybody_looks_for_a_deadlock(
    db: psycopg.Connection[Any], timeout: str, tries: list[int]
) -> None:
    db.execute(f"SET deadlock_timeout = '{timeout}'".encode())
    assert list(islice(short_tries(db, (25, 250)), 3)) == tries


@pytest.mark.parametrize("binary", [True, False])
def test_json_is_loaded_as_the_text_that_it_is(db: psycopg.Connection[Any], *, binary: bool) -> None:
    row = db.execute("""SELECT '{"a":  1}'::json, '{"a":  1}'::jsonb""", binary=binary).fetchone()
    assert row == ('{"a":  1}', '{"a": 1}')


def test_the_applications_tables_are_never_made_in_switchbacks_own_schema(postgres_dsn: str) -> None:
    leads_there = other(postgres_dsn, options="-c search_path=switchback,public")
    with closing(connect(leads_there, application_name="test")) as first:
        first.execute("CREATE SCHEMA switchback")
        assert first.execute("SELECT current_schema()").fetchone() == ("public",)
    with closing(connect(leads_there, application_name="test")) as later:
        assert later.execute("SELECT current_schema()").fetchone() == ("public",)
