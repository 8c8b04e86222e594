"""Before a switch: the daemons' role has lost a right in PostgreSQL that the way back needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from captured import Captured
from fix_roles import Roles
from prechecking import codes, look, settings_of

SCRIPT = "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY);"


@pytest.fixture
def administrator(tmp_path: Path, roles: Roles) -> Iterator[psycopg.Connection]:
    """Two tables are captured in PostgreSQL, all of the owner's role."""
    with (
        closing(Captured(tmp_path, roles.dsn("sink"), SCRIPT)),
        psycopg.connect(roles.superuser, autocommit=True) as db,
    ):
        yield db


def _do(db: psycopg.Connection, statement: str, roles: Roles) -> None:
    names = {role: sql.Identifier(roles.name(role)) for role in ("owner", "application")}
    db.execute(sql.SQL(statement).format(**names))


@pytest.mark.parametrize("mend", ["ALTER TABLE t OWNER TO {owner}", "GRANT {application} TO {owner}"])
def test_a_table_of_a_role_that_ours_is_no_member_of_refuses(
    tmp_path: Path, roles: Roles, administrator: psycopg.Connection, mend: str
) -> None:
    settings = settings_of(tmp_path / "app.db", roles.dsn("operator"))
    _do(administrator, "ALTER TABLE t OWNER TO {application}", roles)
    [finding] = look("way back", settings)
    assert codes([finding]) == [("refuse", "not-owner")]
    assert finding.what == "1 tables belong to another role: t"
    _do(administrator, mend, roles)
    assert look("way back", settings) == []


def test_it_refuses_too_where_a_superuser_asks_who_is_a_member_of_all_roles(
    tmp_path: Path, roles: Roles, administrator: psycopg.Connection
) -> None:
    settings = settings_of(tmp_path / "app.db", roles.superuser)
    assert look("way back", settings) == []
    _do(administrator, "ALTER TABLE t OWNER TO {application}", roles)
    assert codes(look("way back", settings)) == [("refuse", "not-owner")]


def test_a_table_that_is_not_captured_may_be_anybodys(
    tmp_path: Path, roles: Roles, administrator: psycopg.Connection
) -> None:
    settings = settings_of(tmp_path / "app.db", roles.dsn("operator"))
    _do(administrator, "CREATE TABLE other (id int)", roles)
    _do(administrator, "ALTER TABLE other OWNER TO {application}", roles)
    assert look("way back", settings) == []


def test_a_schema_in_which_its_owner_may_not_create_refuses(
    tmp_path: Path, roles: Roles, administrator: psycopg.Connection
) -> None:
    settings = settings_of(tmp_path / "app.db", roles.dsn("operator"))
    _do(administrator, "REVOKE CREATE ON SCHEMA switchback FROM {owner}", roles)
    [finding] = look("way back", settings)
    assert codes([finding]) == [("refuse", "no-create")]
    assert finding.where == "schema switchback"
    _do(administrator, "GRANT CREATE ON SCHEMA switchback TO {owner}", roles)
    assert look("way back", settings) == []


def test_a_key_whose_collation_takes_different_texts_for_equal_refuses(tmp_path: Path, postgres_dsn: str) -> None:
    """PostgreSQL would tell of no new key where SQLite has another one, and keeps both rows."""
    settings = settings_of(tmp_path / "app.db", postgres_dsn)
    with closing(Captured(tmp_path, postgres_dsn, "CREATE TABLE named (name TEXT PRIMARY KEY NOT NULL)")) as captured:
        assert look("way back", settings) == []
        captured.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        captured.run("ALTER TABLE named ALTER name TYPE text COLLATE ci")
        [finding] = look("way back", settings)
        assert codes([finding]) == [("refuse", "key-collation")]
        assert finding.where == "table named, column name"
        captured.run('ALTER TABLE named ALTER name TYPE text COLLATE "C"')
        assert look("way back", settings) == []
