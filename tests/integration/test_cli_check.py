"""``switchback check``: every check runs and says what it found, or that it could not look."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from command import Command
from fix_roles import Roles

Results = list[dict[str, Any]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A sound database in WAL mode."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            PRAGMA journal_mode = WAL;
            CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE note (id INTEGER PRIMARY KEY, person INTEGER REFERENCES person, text TEXT);
            INSERT INTO person VALUES (1, 'Ada'), (2, 'Grace');
            INSERT INTO note VALUES (1, 1, 'x'), (2, 2, 'y');
        """)
    return path


def _check(tmp_path: Path, **settings: object) -> tuple[int, Results]:
    said = Command(tmp_path, **settings)("check", "--json")
    assert "Traceback" not in said.errors, said.errors
    return said.code, said.json


def _of(results: Results, check: str) -> list[str]:
    return [result["outcome"] for result in results if result["check"] == check]


def test_a_sound_source_and_an_empty_target_pass(tmp_path: Path, source: Path, postgres_dsn: str) -> None:
    code, results = _check(tmp_path, source=source, target=postgres_dsn)
    assert code == 0, results
    assert {result["outcome"] for result in results} <= {"ok", "note", "warn"}
    assert {result["check"] for result in results} >= {
        "source",
        "source is writable",
        "journal mode",
        "tables",
        "integrity",
        "keys",
        "foreign keys",
        "disk",
        "target",
        "target rights",
        "target tables",
        "log",
    }


def test_checking_changes_nothing(tmp_path: Path, source: Path, postgres_dsn: str) -> None:
    before = source.read_bytes()
    _check(tmp_path, source=source, target=postgres_dsn)
    assert source.read_bytes() == before
    assert not (tmp_path / ".switchback").exists()
    with psycopg.connect(postgres_dsn) as db:
        assert db.execute("SELECT to_regnamespace('switchback')").fetchone() == (None,)


def test_a_server_that_is_away_could_not_be_looked_at_and_all_else_is(tmp_path: Path, source: Path) -> None:
    code, results = _check(tmp_path, source=source, target="postgresql://joe:s3cret@127.0.0.1:1/x")
    assert code == 2
    assert _of(results, "target") == ["could not run"]
    assert _of(results, "integrity") == ["ok"]
    assert _of(results, "log") == ["ok"]
    assert "s3cret" not in str(results)


def test_a_missing_file_is_refused_and_the_target_is_still_looked_at(tmp_path: Path, postgres_dsn: str) -> None:
    code, results = _check(tmp_path, source=tmp_path / "none.db", target=postgres_dsn)
    assert code == 2
    assert _of(results, "source") == ["refuse"]
    assert _of(results, "target") == ["ok"]


@pytest.mark.parametrize(
    ("content", "says"), [(b"no database at all, just text " * 50, "not a SQLite database"), (b"", "empty")]
)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "app.db").write_bytes(content)
    code, results = _check(tmp_path, source=tmp_path / "app.db")
    assert code == 2
    assert any(says in result["what"] for result in results if result["check"] == "source")


def test_a_damaged_table_is_refused(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("CREATE INDEX person_name ON person (name)")
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'person_name'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with source.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 100)
    code, results = _check(tmp_path, source=source)
    assert code == 1
    assert "refuse" in _of(results, "integrity")


def test_rollback_journal_mode_is_advised_against(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    _, results = _check(tmp_path, source=source)
    assert _of(results, "journal mode") == ["warn"]


def test_rows_without_a_parent_are_counted(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("INSERT INTO note VALUES (3, 99, 'orphan')")
    _, results = _check(tmp_path, source=source)
    found = [result for result in results if result["check"] == "foreign keys" and result["outcome"] == "warn"]
    assert [result["where"] for result in found] == ["table note"]
    assert found[0]["what"].startswith("1 rows refer to rows of person")


def test_null_in_a_key_is_refused(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("CREATE TABLE tag (name TEXT PRIMARY KEY)")
        db.execute("INSERT INTO tag VALUES (NULL), (NULL)")
    code, results = _check(tmp_path, source=source)
    assert code == 1
    assert "refuse" in _of(results, "keys")


def test_a_write_lock_that_is_kept_is_reported(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        _, results = _check(tmp_path, source=source)
    assert _of(results, "source is writable") == ["warn"]


@pytest.mark.parametrize(
    ("existing", "rows", "outcome"),
    [
        ("refuse", 0, "refuse"),
        ("match", 0, "note"),
        ("match", 1, "refuse"),
        ("replace", 1, "warn"),
    ],
)
def test_tables_in_the_target_are_judged_by_what_was_decided_about_them(
    tmp_path: Path, source: Path, postgres_dsn: str, existing: str, rows: int, outcome: str
) -> None:
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE person (id bigint PRIMARY KEY, name text NOT NULL)")
        if rows:
            db.execute("INSERT INTO person VALUES (1, 'Ada')")
    _, results = _check(tmp_path, source=source, target=postgres_dsn, existing=existing)
    assert _of(results, "target tables") == [outcome]


def test_a_partitioned_table_in_the_target_is_refused(tmp_path: Path, source: Path, postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE person (id bigint PRIMARY KEY, name text NOT NULL) PARTITION BY RANGE (id)")
    code, results = _check(tmp_path, source=source, target=postgres_dsn, existing="match")
    assert code == 1
    assert _of(results, "target tables") == ["refuse", "note"]


def test_a_key_of_a_table_in_the_target_to_which_different_texts_are_equal_is_refused(
    tmp_path: Path, source: Path, postgres_dsn: str
) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute("CREATE TABLE tag (name TEXT NOT NULL PRIMARY KEY)")
    with psycopg.connect(postgres_dsn) as db:
        try:
            db.execute("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        except psycopg.errors.FeatureNotSupported as error:
            pytest.skip(str(error))
        db.execute("CREATE TABLE tag (name text COLLATE ci PRIMARY KEY)")
    code, results = _check(tmp_path, source=source, target=postgres_dsn, existing="match")
    assert code == 1
    [found] = [result for result in results if result["outcome"] == "refuse"]
    assert (found["check"], found["where"]) == ("target tables", "table tag, column name")
    assert "nondeterministic collation ci" in found["what"]


def test_a_sequence_that_the_role_may_not_set_is_refused(tmp_path: Path, source: Path, roles: Roles) -> None:
    with psycopg.connect(roles.superuser) as db:
        db.execute("CREATE SEQUENCE gid; CREATE TABLE person (id bigint PRIMARY KEY DEFAULT nextval('gid'), name text)")
        db.execute(f"ALTER TABLE person OWNER TO {roles.name('owner')}".encode())
    code, results = _check(tmp_path, source=source, target=roles.dsn("sink"), existing="match")
    assert code == 1
    [found] = [result for result in results if result["outcome"] == "refuse"]
    assert (found["check"], found["where"]) == ("target tables", "table person, column id")
    assert found["remedy"] == f"As its owner: GRANT ALL ON SEQUENCE public.gid TO {roles.name('owner')}"


def test_missing_rights_are_named_with_the_grant_that_gives_them(
    tmp_path: Path, source: Path, postgres_dsn: str
) -> None:
    user = "weak_" + postgres_dsn.rsplit("/", 1)[1].partition("?")[0].replace("test_", "")
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'weak'".encode())
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        try:
            dsn = psycopg.conninfo.make_conninfo(postgres_dsn, user=user, password="weak")
            code, results = _check(tmp_path, source=source, target=dsn)
        finally:
            db.execute(f"DROP OWNED BY {user}".encode())
            db.execute(f"DROP ROLE {user}".encode())
    assert code == 1
    remedies = [result["remedy"] for result in results if result["outcome"] == "refuse"]
    assert f"GRANT CREATE ON SCHEMA public TO {user}" in remedies
    assert any(remedy.startswith("GRANT CREATE ON DATABASE") for remedy in remedies)


def test_a_log_file_that_is_some_other_database_is_refused(tmp_path: Path, source: Path) -> None:
    code, results = _check(tmp_path, source=source, log=f"embedded:{source}")
    assert code == 2
    assert _of(results, "log") == ["refuse"]


def test_what_stands_in_the_way_of_a_table_does_not_matter_once_it_is_left_out(tmp_path: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("CREATE TABLE hidden (rowid TEXT, _rowid_ TEXT, oid TEXT)")
    assert "refuse" in _of(_check(tmp_path, source=source)[1], "tables")
    assert "refuse" not in _of(_check(tmp_path, source=source, exclude="hidden")[1], "tables")


@pytest.mark.parametrize("setting", ["tables", "exclude", "priorities"])
def test_a_mistyped_table_is_named_once_with_what_was_meant(tmp_path: Path, source: Path, setting: str) -> None:
    code, results = _check(tmp_path, source=source, **{setting: "persn"})
    assert code == 2
    found = [result for result in results if result["where"] == "persn"]
    assert [(result["check"], result["remedy"]) for result in found] == [("tables", "Did you mean person?")]


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ("person.nmae=varchar", "Did you mean person.name"),
        ("person.name=xml", "the type xml is none that SQLite's values are kept in"),
        ("person.name=varchar(20),note.text=nosuch", "the type nosuch is none"),
    ],
)
def test_types_that_run_would_refuse_or_pass_over_are_found(
    tmp_path: Path, source: Path, types: str, says: str
) -> None:
    code, results = _check(tmp_path, source=source, types=types)
    assert code == 2
    assert [says in f"{r['what']} {r['remedy']}" for r in results if r["outcome"] == "refuse"] == [True]
    run = Command(tmp_path, source=source, types=types, target="postgresql://joe@127.0.0.1:1/x")("run")
    assert run.code == 2
    assert says in run.errors
    assert not (tmp_path / ".switchback").exists()


def test_types_that_will_do_are_counted_and_those_of_tables_left_out_do_no_harm(tmp_path: Path, source: Path) -> None:
    types = "person.name=varchar(20),note.anything=xml"
    code, results = _check(tmp_path, source=source, types=types, exclude="note")
    assert code == 0, results
    assert _of(results, "types") == ["ok"]


def test_a_log_that_cannot_be_made_is_found(tmp_path: Path, source: Path) -> None:
    code, results = _check(tmp_path, source=source, log=f"embedded:{tmp_path}/nowhere/log.db")
    assert code == 2
    assert _of(results, "log") == ["refuse"]


def test_a_log_in_kafka_is_looked_at_and_not_made(tmp_path: Path, source: Path, kafka_bootstrap: str) -> None:
    stream = f"s-{uuid.uuid4().hex[:12]}"
    for _ in range(2):
        code, results = _check(tmp_path, source=source, log=f"kafka://{kafka_bootstrap}", stream=stream)
        assert code == 0, results
        [says] = [result["what"] for result in results if result["check"] == "log"]
        assert says == f"{stream}.spine, {stream}.control, {stream}.progress will be created"
