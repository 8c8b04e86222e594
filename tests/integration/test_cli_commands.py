"""The operator's program from outside: what each command prints, changes and ends with."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import Command, QuickCommand
from daemons import wait_until
from shared.presence import is_running, read_presence
from shared.sqlite.connection import connect, writing
from shared.sqlite.state import write_state

DAEMONS = ("capture", "sink")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database with two tables and 300 rows."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, person INTEGER REFERENCES person, text TEXT)")
        db.executemany("INSERT INTO person VALUES (?, ?)", [(n, f"person {n}") for n in range(100)])
        db.executemany("INSERT INTO note VALUES (?, ?, ?)", [(n, n % 100, f"note {n}") for n in range(200)])
    return path


@pytest.fixture
def switchback(tmp_path: Path, source: Path, postgres_dsn: str) -> Command:
    """The program with these settings."""
    return Command(tmp_path, source=source, target=postgres_dsn)


@pytest.fixture
def running(switchback: Command) -> Iterator[subprocess.Popen[str]]:
    """``switchback run``, in step."""
    process = switchback.start("run")
    wait_until("the replica is in step", lambda: switchback("status", "--json").json["synced"])
    yield process
    process.terminate()
    process.communicate(timeout=60)


def _rows(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as db:
        row = db.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchone()
    assert row
    return int(row[0])


def _schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_help_names_every_command(switchback: Command) -> None:
    said = switchback("--help")
    assert said.code == 0
    for command in ("init", "check", "run", "status", "verify", "log", "uninstall", "version"):
        assert f" {command} " in said.out


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        ([], "Fill in source and target, then run: switchback check"),
        (["--source", "app.db"], "Fill in target, then run: switchback check"),
        (["--source", "app.db", "--target", "postgresql://ada@db/app"], "Now run: switchback check"),
    ],
)
def test_init_says_what_is_still_to_be_filled_in(tmp_path: Path, words: list[str], next_step: str) -> None:
    said = QuickCommand(tmp_path)("init", *words)
    assert (said.code, said.out) == (0, f"switchback.toml is written. {next_step}\n"), said.errors


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--nonsense"], ["check", "--chunk-rows", "many"]])
def test_wrong_words_end_with_code_2_and_without_a_traceback(switchback: Command, words: list[str]) -> None:
    said = switchback(*words)
    assert said.code == 2
    assert "Traceback" not in said.errors


def test_status_before_anything_creates_nothing(switchback: Command, source: Path) -> None:
    before = _schema(source)
    said = switchback("status", "--json")
    assert said.code == 0
    assert (said.json["phase"], said.json["synced"]) == ("not installed", False)
    assert _schema(source) == before
    assert not (source.parent / ".switchback").exists()


def test_run_until_synced_copies_everything_and_ends(switchback: Command, postgres_dsn: str) -> None:
    said = switchback("run", "--until-synced")
    assert said.code == 0, said.errors
    assert (_rows(postgres_dsn, "person"), _rows(postgres_dsn, "note")) == (100, 200)
    status = switchback("status", "--json").json
    assert (status["synced"], status["lag_changes"], status["ledger"]["copied"]) == (True, 0, True)


def test_run_follows_changes_and_stops_cleanly(
    switchback: Command, running: subprocess.Popen[str], source: Path, postgres_dsn: str
) -> None:
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("INSERT INTO person VALUES (1000, 'new')")
    wait_until("the change is applied", lambda: _rows(postgres_dsn, "person") == 101)
    said = switchback.stop(running)
    assert said.code == 0, said.errors
    assert "Traceback" not in said.errors
    assert not any(is_running(source.parent / ".switchback", "app", name) for name in DAEMONS)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_killed_daemon_comes_back_under_run(
    running: subprocess.Popen[str], source: Path, postgres_dsn: str, name: str
) -> None:
    folder = source.parent / ".switchback"
    before = read_presence(folder, "app", name)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("INSERT INTO person VALUES (1000, 'new')")
    wait_until("the change is applied", lambda: _rows(postgres_dsn, "person") == 101)
    wait_until("the note is written", lambda: is_running(folder, "app", name))
    assert running.poll() is None


def test_the_daemons_end_when_run_itself_is_killed(running: subprocess.Popen[str], source: Path) -> None:
    running.kill()
    folder = source.parent / ".switchback"
    wait_until("both ended", lambda: not any(is_running(folder, "app", name) for name in DAEMONS))


def test_a_second_run_is_refused(switchback: Command, running: subprocess.Popen[str]) -> None:
    said = switchback("run")
    assert said.code == 2
    assert "is running already" in said.errors
    assert running.poll() is None


def test_run_ends_with_the_reason_when_the_target_will_not_do(switchback: Command, postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE person (id bigint PRIMARY KEY)")
        db.execute("INSERT INTO person VALUES (1)")
    said = switchback("run")
    assert said.code == 2, said
    assert said.errors.splitlines()[-1].startswith("switchback: sink: ")
    assert "person" in said.errors
    status = switchback("status", "--json").json
    assert status["phase"] == "stopped"
    assert "person" in status["summary"]


def test_status_of_a_running_migration_names_daemons_and_tables(
    switchback: Command, running: subprocess.Popen[str]
) -> None:
    status = switchback("status", "--json").json
    assert status["phase"] == "in step"
    assert {daemon["name"]: daemon["state"] for daemon in status["daemons"]} == dict.fromkeys(DAEMONS, "running")
    assert {table["name"]: (table["rows"], table["done"]) for table in status["tables"]} == {
        "person": (100, True),
        "note": (200, True),
    }
    page = switchback("status").out
    assert page.startswith("app: in step - every change is applied")


def test_uninstall_is_refused_while_it_runs(switchback: Command, running: subprocess.Popen[str]) -> None:
    said = switchback("uninstall", "--yes")
    assert said.code == 2
    assert "is running" in said.errors


@pytest.mark.parametrize("words", [[], ["--all"], ["--unfence"]])
def test_uninstall_of_a_mistyped_stream_leaves_the_one_that_runs_alone(
    switchback: Command, running: subprocess.Popen[str], source: Path, words: list[str]
) -> None:
    before = _schema(source)
    said = switchback("uninstall", "--yes", "--stream", "typo", *words)
    assert said.code == 2, said.out
    assert "this file is captured for stream app, not typo. Give --stream app" in said.errors
    assert _schema(source) == before
    assert running.poll() is None


def test_a_file_that_does_not_name_its_stream_can_be_used_and_uninstalled(switchback: Command, source: Path) -> None:
    switchback("run", "--until-synced")
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("DELETE FROM _switchback_state WHERE key = 'stream'")
    said = switchback("run", "--until-synced")
    assert said.code == 0, said.errors
    assert switchback("uninstall", "--yes").code == 0


def test_uninstall_leaves_the_source_as_it_was(switchback: Command, source: Path, postgres_dsn: str) -> None:
    before = _schema(source)
    switchback("run", "--until-synced")
    assert _schema(source) != before
    said = switchback("uninstall", "--yes")
    assert said.code == 0, said.errors
    assert "removed SQLite: _switchback_log" in said.out
    assert _schema(source) == before
    assert _rows(postgres_dsn, "person") == 100


def test_uninstall_asks_and_no_removes_nothing(switchback: Command, source: Path) -> None:
    switchback("run", "--until-synced")
    before = _schema(source)
    said = switchback("uninstall", typed="n\n")
    assert said.code == 1
    assert said.errors == "switchback: nothing was changed\n"
    assert _schema(source) == before


def test_uninstall_looks_again_once_it_was_told_to_go_on(switchback: Command, source: Path) -> None:
    """While it asked, another operator may have made PostgreSQL the primary: without its fence both would be open."""
    switchback("run", "--until-synced")
    asking = switchback.start("uninstall")
    assert asking.stdout
    seen = ""
    while "Remove these?" not in seen:
        seen += asking.stdout.read(1) or pytest.fail(f"it ended without asking: {seen}")
    with closing(connect(source)) as db, writing(db):
        write_state(db, role="replica")
    before = _schema(source)
    _, errors = asking.communicate("y\n", timeout=60)
    assert asking.returncode == 2
    assert "PostgreSQL is the primary, and this file is closed" in errors
    assert _schema(source) == before


def test_uninstall_all_lets_the_same_stream_begin_anew(switchback: Command, source: Path, postgres_dsn: str) -> None:
    switchback("run", "--until-synced")
    said = switchback("uninstall", "--all", "--yes")
    assert said.code == 0, said.errors
    assert "removed PostgreSQL: schema switchback" in said.out
    assert list((source.parent / ".switchback").iterdir()) == []
    said = switchback("run", "--until-synced", existing="replace")
    assert said.code == 0, said.errors
    assert _rows(postgres_dsn, "note") == 200


def test_uninstall_all_leaves_other_streams_alone(switchback: Command, postgres_dsn: str, source: Path) -> None:
    switchback("run", "--until-synced")
    with psycopg.connect(postgres_dsn) as db:
        db.execute("INSERT INTO switchback.ledger (stream) VALUES ('other')")
    (source.parent / ".switchback" / "app.other.log.db").write_text("of another stream")
    switchback("uninstall", "--all", "--yes")
    with psycopg.connect(postgres_dsn) as db:
        assert db.execute("SELECT stream FROM switchback.ledger").fetchall() == [("other",)]
    assert (source.parent / ".switchback" / "app.other.log.db").exists()


def test_log_show_lists_the_groups(switchback: Command) -> None:
    switchback("run", "--until-synced")
    said = switchback("log", "show")
    assert said.code == 0, said.errors
    for kind in ("schema", "snapshot", "barrier"):
        assert kind in said.out


def test_log_show_without_a_log_says_so(switchback: Command) -> None:
    said = switchback("log", "show")
    assert said.code == 2
    assert "there is no log yet" in said.errors


def test_run_goes_on_when_nobody_listens_any_more(switchback: Command, source: Path, postgres_dsn: str) -> None:
    process = switchback.start("run")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    wait_until("the replica is in step", lambda: switchback("status", "--json").json["synced"])
    with closing(sqlite3.connect(source)) as db, db:
        db.execute("INSERT INTO person VALUES (1000, 'new')")
    wait_until("the change is applied", lambda: _rows(postgres_dsn, "person") == 101)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0


@pytest.mark.parametrize("wrong", ["folder", "missing", "empty", "no table", "target", "log"])
def test_run_with_a_mistyped_word_leaves_no_trace(
    switchback: Command, source: Path, tmp_path: Path, postgres_dsn: str, wrong: str
) -> None:
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "bare.db")) as db:
        db.execute("CREATE VIEW v AS SELECT 1")
    given = {
        "folder": {"source": str(tmp_path)},
        "missing": {"source": str(tmp_path / "nope.db")},
        "empty": {"source": str(tmp_path / "empty.db")},
        "no table": {"source": str(tmp_path / "bare.db")},
        "target": {"target": psycopg.conninfo.make_conninfo(postgres_dsn, dbname="nope")},
        "log": {"log": f"embedded:{tmp_path}/nowhere/log.db"},
    }
    before, schema = sorted(tmp_path.parent.rglob("*")), _schema(source)
    said = switchback("run", **given[wrong])
    assert said.code == 2, said
    assert said.errors.count("switchback: ") == 1
    assert sorted(tmp_path.parent.rglob("*")) == before
    assert _schema(source) == schema
    with psycopg.connect(postgres_dsn) as db:
        assert db.execute("SELECT to_regnamespace('switchback')").fetchone() == (None,)


def test_run_waits_for_a_server_that_is_away(switchback: Command, source: Path) -> None:
    process = switchback.start("run", target="postgresql://joe@127.0.0.1:1/app")
    folder = source.parent / ".switchback"

    def waits() -> bool:
        note = read_presence(folder, "app", "sink")
        return note is not None and "cannot be reached" in note.trouble

    wait_until("the sink waits for it", waits)
    assert process.poll() is None
    assert switchback.stop(process).code == 0


def test_the_first_run_says_what_it_waits_for(switchback: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection and never says a word
        port = mute.getsockname()[1]
        process = switchback.start("run", target=f"postgresql://joe@127.0.0.1:{port}/app?connect_timeout=5")
        assert process.stderr
        said = process.stderr.readline()
        switchback.stop(process)
    assert said == f"switchback: waiting for 127.0.0.1:{port} ...\n"
