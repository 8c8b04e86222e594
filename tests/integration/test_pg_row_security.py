"""Row level security that binds even the tables' owner would hide rows from capture: the prechecks refuse it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from captured import Captured
from inprocess import STREAM
from operations.cutover.prechecks import Prechecks
from shared.control.fold import State
from shared.findings import Finding
from shared.log.embedded import EmbeddedLog
from shared.settings import Settings

SCRIPT = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY);"


@pytest.fixture
def owner(postgres_dsn: str) -> Iterator[str]:
    """An ordinary role that owns what it makes; its name."""
    name = f"owner_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        database = sql.Identifier(db.info.dbname)
        db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, role))
        db.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
        yield name
        db.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        db.execute(sql.SQL("DROP ROLE {}").format(role))


def _found(folder: Path, dsn: str) -> list[str]:
    settings = Settings(source=folder / "app.db", target=SecretStr(dsn), stream=STREAM)
    with closing(EmbeddedLog(folder / "log.db")) as log:
        return [str(found) for found in Prechecks(settings, log, State()).way_back() if isinstance(found, Finding)]


def test_forced_row_security_is_refused_unless_captures_role_passes_it(
    tmp_path: Path, postgres_dsn: str, owner: str
) -> None:
    dsn = make_conninfo(postgres_dsn, user=owner, password="x")
    with closing(Captured(tmp_path, dsn, SCRIPT)) as captured:
        captured.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        assert _found(tmp_path, dsn) == []
        captured.run("ALTER TABLE t FORCE ROW LEVEL SECURITY", "ALTER TABLE u FORCE ROW LEVEL SECURITY")
        [finding] = _found(tmp_path, dsn)
        assert "row level security hides rows of 1 tables from capture: t" in finding
        assert "NO FORCE ROW LEVEL SECURITY" in finding
        with psycopg.connect(postgres_dsn, autocommit=True) as db:
            db.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(owner)))
        assert _found(tmp_path, dsn) == []
