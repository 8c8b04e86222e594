"""What running daemons export: all that the page describes and nothing else, whatever the databases do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from command import QuickCommand
from daemons import Migration, wait_until
from documented import documented
from fix_migration import Begin
from missing import find_free_ports
from scraping import get, get_json, port_of, scrape, value
from traffic import Traffic


@pytest.fixture
def metered(begin: Begin, postgres_dsn: str) -> Iterator[Migration]:
    """Both daemons with their ports, in step after some changes."""
    migration = begin(postgres_dsn, capture_port="0", sink_port="0")
    migration.start()
    migration.wait_in_step()
    with Traffic(migration.source, writers=1) as traffic:
        wait_until("something is written", lambda: len(traffic.acknowledged) > 20)
    migration.wait_in_step()
    yield migration
    migration.kill()


def _exported(port: int) -> dict[str, str]:
    families = [family for family in scrape(port) if not family.name.endswith("_created")]
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in families}


def test_daemons_export_what_the_page_describes_and_nothing_else(metered: Migration) -> None:
    for program, heading in (("capture", "Capture"), ("sink", "Sink")):
        exported = _exported(port_of(metered, program))
        assert exported == documented("Both daemons", heading, "The process")


def test_a_scrape_is_answered_while_sqlite_is_locked_for_writers_and_readers(begin: Begin, postgres_dsn: str) -> None:
    migration = begin(postgres_dsn, wal=False, capture_port="0", sink_port="0")
    migration.start()
    migration.wait_in_step()
    with closing(sqlite3.connect(migration.source, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        for program in ("capture", "sink"):
            status, body = get(port_of(migration, program), "/metrics")
            assert status == 200
            assert "switchback_group" in body
        db.execute("ROLLBACK")


def test_a_scrape_is_answered_while_the_replicas_tables_are_locked(metered: Migration) -> None:
    with psycopg.connect(metered.dsn) as db:
        db.execute("LOCK TABLE switchback.ledger, account IN ACCESS EXCLUSIVE MODE")
        status, body = get(port_of(metered, "sink"), "/metrics")
    assert status == 200
    assert "switchback_applied_seq" in body


def test_the_metrics_follow_the_migration_there_and_say_what_was_verified(metered: Migration) -> None:
    capture, sink = port_of(metered, "capture"), port_of(metered, "sink")
    command = QuickCommand(metered.source.parent, **metered.settings)
    assert value(capture, "switchback_verification_timestamp_seconds") == 0
    assert command("verify").code == 0
    wait_until("the verdict is known", lambda: value(capture, "switchback_verification_timestamp_seconds"))
    assert value(capture, "switchback_verification_wrong_rows") == 0
    assert command("cutover").code == 0
    for port in (capture, sink):
        wait_until("the epoch is known", lambda: value(port, "switchback_epoch") == 1)  # noqa: B023  (called at once)
        assert value(port, "switchback_primary", side="postgres") == 1
        assert value(port, "switchback_phase", phase="normal") == 1
        pause = value(port, "switchback_last_pause_seconds")
        assert pause is not None
        assert 0 < pause < 60


def test_a_write_on_the_closed_side_is_counted(metered: Migration) -> None:
    sink = port_of(metered, "sink")
    wait_until("the fence was looked at", lambda: value(sink, "switchback_refused_writes", side="postgres") == 0)
    with psycopg.connect(metered.dsn) as db, pytest.raises(psycopg.Error):
        db.execute("DELETE FROM receipt")
    wait_until("the write is counted", lambda: value(sink, "switchback_refused_writes", side="postgres") == 1)


def test_the_sink_says_that_a_migration_of_the_tables_stopped_capture(metered: Migration) -> None:
    with closing(sqlite3.connect(metered.source, timeout=30)) as db:
        db.execute("ALTER TABLE account ADD COLUMN extra")
    assert metered.capture.wait() == 3
    sink = port_of(metered, "sink")
    wait_until(
        "capture's end is known",
        lambda: value(sink, "switchback_stopped", daemon="capture", **{"class": "schema_changed"}) == 1,
    )


def test_daemons_in_step_are_well_and_ready(metered: Migration) -> None:
    well = (200, {"ok": True, "reason": ""})
    for port in (port_of(metered, program) for program in ("capture", "sink")):
        wait_until("it is ready", lambda: get_json(port, "/readyz") == well)  # noqa: B023  (called at once)
        assert get_json(port, "/healthz") == well


def test_a_sink_without_its_database_is_well_and_not_ready(begin: Begin, postgres_dsn: str) -> None:
    away = begin(make_conninfo(postgres_dsn, port=str(find_free_ports(1))), sink_port="0")
    away.sink.start()
    wait_until("it waits", lambda: away.sink.says("waiting to try again"))
    port = port_of(away, "sink")
    wait_until("that is served", lambda: value(port, "switchback_up") == 0)  # said last, behind the note and the log
    assert get_json(port, "/healthz")[0] == 200
    status, body = get_json(port, "/readyz")
    assert status == 503
    assert body["reason"]
