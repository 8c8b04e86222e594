"""Before a switch: daemons that do not work, and an attempt that is under way already."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from daemons import Migration, wait_until
from fix_migration import STOPPED
from prechecking import BACK, FORWARD, codes, look, settings_of
from shared.control.channel import Channel
from shared.control.records import CAPTURE, OPERATOR, Aborted, Asked, LetGo
from shared.findings import Finding
from shared.log.embedded import EmbeddedLog
from shared.reports import Report, send_report


def _found(migration: Migration) -> list[Finding]:
    return look("daemons", settings_of(migration.source, migration.dsn, migration.stream, migration.settings["log"]))


@pytest.mark.parametrize("name", ["capture", "sink"])
@pytest.mark.parametrize(
    ("end", "said"),
    [("kill", "killed: it was killed, or the machine went down"), ("stop", "stopped: ended as asked")],
)
def test_a_daemon_that_ended_refuses_until_it_runs_again(migration: Migration, name: str, end: str, said: str) -> None:
    migration.start()
    migration.wait_in_step()
    assert _found(migration) == []
    daemon = getattr(migration, name)
    getattr(daemon, end)()
    [finding] = _found(migration)
    assert codes([finding]) == [("refuse", "daemon")]
    assert finding.what == f"{name} is {said}"
    daemon.start()
    wait_until("it runs again", lambda: _found(migration) == [])


def test_a_sink_that_stands_still_refuses_with_its_reason_until_it_works_again(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    _run(migration, "ALTER TABLE account RENAME TO away")
    with closing(sqlite3.connect(migration.source, timeout=30)) as application, application:
        application.execute("UPDATE account SET owner = 'another' WHERE id = 1")
    assert migration.sink.wait() == STOPPED
    found = [one for one in _found(migration) if one.code == "sink-stopped"]
    assert codes(found) == [("refuse", "sink-stopped")]
    assert found[0].what.startswith("the sink stands still: ")
    assert "account" in found[0].what
    _run(migration, "ALTER TABLE away RENAME TO account")
    migration.sink.start()
    wait_until("it works again", lambda: _found(migration) == [])


def _run(migration: Migration, statement: str) -> None:
    with psycopg.connect(migration.dsn) as db:
        db.execute(statement.encode())


def test_only_the_sink_of_the_replica_of_now_is_asked(tmp_path: Path, postgres_dsn: str) -> None:
    settings = settings_of(tmp_path / "app.db", postgres_dsn)
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        send_report(log, "sqlite", Report(trouble="the file is full"))
    assert look("daemons", settings, FORWARD) == []
    [finding] = look("daemons", settings, BACK)
    assert codes([finding]) == [("refuse", "sink-stopped")]
    assert finding.what == "the sink stands still: the file is full"


def test_an_attempt_that_is_under_way_refuses_until_it_is_over(tmp_path: Path, postgres_dsn: str) -> None:
    settings = settings_of(tmp_path / "app.db", postgres_dsn)
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        channel = Channel(log.control)
        assert look("attempt", settings, channel.open()) == []
        asked = Asked(by=OPERATOR, at_ms=0, attempt="a1", epoch=1, max_pause_ms=5_000, who="ada@host")
        assert not channel.say(asked)
        [finding] = look("attempt", settings, channel.open())
        assert codes([finding]) == [("refuse", "attempt")]
        assert finding.what == "attempt a1 of ada@host is under way"
        assert not channel.say(Aborted(by=OPERATOR, at_ms=1, attempt="a1", reason="enough"))
        assert codes(look("attempt", settings, channel.open())) == [("refuse", "attempt")]
        assert not channel.say(LetGo(by=CAPTURE, at_ms=2, attempt="a1"))
        assert look("attempt", settings, channel.open()) == []
