"""Who is primary where the log cannot be read: what the databases say of themselves, and never a guess."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from command import QuickCommand
from daemons import Migration
from operations.status import Watch
from shared.control.standing import Role
from shared.postgres import ledger, reverse
from shared.postgres.side import set_role
from shared.settings import load_settings
from shared.sqlite import fence
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, reading, writing
from shared.sqlite.installation import install_within, uninstall
from shared.sqlite.state import write_state

_MARK = "(by the databases; the log cannot be read)"


class Sides:
    """Both databases of a stream, whose notes a test writes by hand, and a log that is broken."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.path, self.dsn, self.log = folder / "app.db", dsn, folder / "app.log"
        self.log.write_bytes(b"no database" * 1000)
        with closing(sqlite3.connect(self.path)) as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        with closing(connect(self.path)) as db, psycopg.connect(dsn) as postgres:
            with writing(db):
                install_within(db, read_schema(db), "app")
            with reading(db):
                schema = read_schema(db)
            postgres.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
            postgres.execute("CREATE SCHEMA switchback")
            reverse.install(postgres, "app", schema)
        self.command = QuickCommand(folder, source=self.path, target=dsn, log=f"embedded:{self.log}")

    def note(self, sqlite: Role, postgres: Role, epoch: int) -> None:
        with closing(connect(self.path)) as db, writing(db):
            write_state(db, role=sqlite, epoch=str(epoch), attempt="a")
        with psycopg.connect(self.dsn) as postgres_db:
            set_role(postgres_db, "app", role=postgres, epoch=epoch, attempt="a")

    def primary(self, **settings: str) -> str:
        """What stands in the line of that name."""
        said = self.command("status", **settings)
        assert said.code == 0, said.errors
        return next(line.split(maxsplit=1)[1] for line in said.out.splitlines() if line.startswith("primary"))

    def json(self, **settings: str) -> tuple[str, int, bool]:
        said = self.command("status", "--json", **settings).json
        assert said["log"]["error"]
        return said["switch"]["primary"], said["switch"]["epoch"], said["switch"]["by_databases"]


@pytest.fixture
def sides(tmp_path: Path, postgres_dsn: str) -> Sides:
    return Sides(tmp_path, postgres_dsn)


@pytest.fixture
def away(postgres_dsn: str) -> str:
    """An address where PostgreSQL is not."""
    return make_conninfo(postgres_dsn, host="127.0.0.1", port=1)


def test_postgresql_that_says_so_is_the_primary(sides: Sides) -> None:
    sides.note("replica", "primary", 1)
    assert sides.primary().startswith(f"PostgreSQL, epoch 1 {_MARK}")
    assert sides.json() == ("postgres", 1, True)


def test_sqlite_that_says_so_is_the_primary(sides: Sides) -> None:
    sides.note("primary", "replica", 2)
    assert sides.primary().startswith(f"SQLite, epoch 2 {_MARK}")
    assert sides.json() == ("sqlite", 2, True)


def test_a_broker_that_is_away_leaves_the_word_to_the_databases(sides: Sides) -> None:
    sides.note("replica", "primary", 1)
    assert sides.json(log="kafka://127.0.0.1:1") == ("postgres", 1, True)


def test_a_log_that_is_not_found_does_not_undo_a_switch(sides: Sides) -> None:
    """As with a mistyped --log."""
    sides.note("replica", "primary", 1)
    assert sides.json(log=f"embedded:{sides.log}.none") == ("postgres", 1, True)


def test_where_there_is_no_log_yet_sqlite_is_the_primary(sides: Sides, away: str) -> None:
    for target in (sides.dsn, away):
        log = f"embedded:{sides.log}.none"
        assert sides.primary(log=log, target=target).strip() == "SQLite, epoch 0"
        assert sides.json(log=log, target=target) == ("sqlite", 0, False)


def test_both_closed_is_a_switch_half_way(sides: Sides) -> None:
    sides.note("replica", "replica", 1)
    assert "not known: neither database takes writes: a switch is half-way" in sides.primary()
    assert "`switchback resume`" in sides.primary()
    assert sides.json() == ("unknown", 0, False)
    assert sides.command("status", "--json").json["phase"] == "closed"


def test_a_closed_file_and_a_postgresql_that_is_away_tell_nothing(sides: Sides, away: str) -> None:
    sides.note("replica", "primary", 1)
    assert "not known: SQLite is not the primary" in sides.primary(target=away)
    assert sides.json(target=away) == ("unknown", 0, False)


def test_where_the_primary_is_not_known_no_lag_is_either(sides: Sides) -> None:
    sides.note("primary", "primary", 1)
    with psycopg.connect(sides.dsn) as postgres:
        postgres.execute(ledger.DDL.encode())
        postgres.execute("INSERT INTO switchback.ledger (stream, number, copied) VALUES ('app', 1, true)")
    said = sides.command("status", "--json").json
    assert (said["phase"], said["lag_changes"], said["synced"]) == ("unknown", None, False)


def test_a_file_that_was_left_closed_at_the_end_is_not_taken_for_the_primary(sides: Sides) -> None:
    """`complete` removes the notes of both sides; the broker that still has the log is away."""
    with closing(connect(sides.path)) as db:
        with writing(db):
            fence.put_up(db, ["t"])
        uninstall(db, keep_closed=True)
    with psycopg.connect(sides.dsn) as postgres:
        postgres.execute("DROP SCHEMA switchback CASCADE")
    assert sides.json() == ("unknown", 0, False)


def test_the_note_of_a_completed_migration_counts_where_the_log_cannot_be_read(sides: Sides) -> None:
    (sides.path.parent / ".switchback").mkdir()
    (sides.path.parent / ".switchback" / "app.completed").write_text("It ended in epoch 3\n")
    switch = sides.command("status", "--json").json["switch"]
    assert (switch["primary"], switch["epoch"], switch["completed"]) == ("postgres", 3, True)


def test_after_a_real_cutover_a_broken_log_hides_nothing(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("cutover", "--unverified").code == 0
    migration.stop()
    log = Path(migration.settings["log"].removeprefix("embedded:"))
    for path in log.parent.glob(f"{log.name}*"):
        path.write_bytes(b"no database" * 1000)
    said = command("status", "--json").json
    switch = said["switch"]
    assert (switch["primary"], switch["epoch"], switch["by_databases"]) == ("postgres", 1, True)
    assert said["lag_changes"] == 0


def test_a_password_file_that_is_gone_for_a_moment_is_told_and_read_again(sides: Sides) -> None:
    file = sides.path.with_name("pw")
    file.write_text(str(conninfo_to_dict(sides.dsn).get("password", "any")))
    given = {"source": str(sides.path), "target": sides.dsn, "target_password_file": str(file)}
    with closing(Watch(load_settings(None, given))) as watch:
        file.rename(file.with_name("away"))
        assert "the password file cannot be read" in watch.look().ledger.error
        file.with_name("away").rename(file)
        assert not watch.look().ledger.error
        file.unlink()
        assert not watch.look().ledger.error, "an open connection needs no password"


def test_a_source_that_is_gone_for_a_moment_is_told_and_read_again(sides: Sides) -> None:
    with closing(Watch(load_settings(None, {"source": str(sides.path), "target": sides.dsn}))) as watch:
        assert watch.look().source.installed
        sides.path.rename(sides.path.with_name("away"))
        assert watch.look().source.error
        sides.path.with_name("away").rename(sides.path)
        assert watch.look().source.installed
