"""What a newer version wrote is refused with one line, before anything is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shared.control.channel import Channel
from shared.control.records import OPERATOR, Announced, encode_record
from shared.errors import Stop
from shared.groups import Header, Position
from shared.log.contract import LogBackend, Record
from shared.log.headers import to_headers
from shared.log.listing import list_groups
from shared.log.opening import open_log
from shared.log.spine import Reader, Writer
from shared.reports import Report, read_report, send_report
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, reading, writing
from shared.sqlite.installation import install
from shared.sqlite.state import read_state, write_state

NEWER = r"of a newer version of Switchback \(format \d+, this program knows \d+\).* nothing was changed"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> LogBackend:
    return open_log(f"embedded:{path}", "s")


def test_a_group_of_a_newer_version_stops_readers_writers_and_lists(log: LogBackend) -> None:
    headers = to_headers(Header("s", "i", "w", 1, 1, "changes"))
    log.spine.send(Record([("v", b"2"), *headers[1:]], b""))
    log.spine.flush()
    with pytest.raises(Stop, match=NEWER):
        Reader(log.spine, "s", Position()).read(0.0)
    with pytest.raises(Stop, match=NEWER):
        Writer(log.spine, "s", "i").peek(Position())
    with pytest.raises(Stop, match=NEWER):
        list(list_groups(log.spine, "s"))


def test_a_newer_record_of_another_stream_concerns_nobody(log: LogBackend) -> None:
    headers = to_headers(Header("other", "i", "w", 1, 1, "changes"))
    log.spine.send(Record([("v", b"2"), *headers[1:]], b""))
    log.spine.flush()
    assert Reader(log.spine, "s", Position()).read(0.0) == []


def test_an_intent_of_a_newer_version_stops_whoever_reads_it(log: LogBackend) -> None:
    body = encode_record(Announced(by=OPERATOR, at_ms=0, epoch=0))
    log.control.send(Record([("switchback-control", b"2")], body))
    log.control.flush()
    with pytest.raises(Stop, match=NEWER):
        Channel(log.control).open()


def test_a_report_of_a_newer_version_is_not_believed(log: LogBackend) -> None:
    send_report(log, "postgres", Report(seq=7, version=2))
    with pytest.raises(Stop, match=NEWER):
        read_report(log, "postgres")


def test_a_log_file_of_a_newer_version_is_left_alone(path: Path, log: LogBackend) -> None:
    log.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=2")
    before = path.read_bytes()
    with pytest.raises(Stop, match=NEWER):
        open_log(f"embedded:{path}", "s")
    assert path.read_bytes() == before


def test_a_log_file_from_before_versions_is_taken(path: Path, log: LogBackend) -> None:
    log.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=0")
    open_log(f"embedded:{path}", "s").close()


def test_notes_of_a_newer_version_in_the_source_are_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as application:
        application.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with closing(connect(tmp_path / "app.db")) as db:
        with reading(db):
            schema = read_schema(db)
        install(db, schema, "s")
        with writing(db):
            write_state(db, format="2")
        before = list(db.iterdump())
        for work in (lambda: read_state(db), lambda: install(db, schema, "s")):
            with pytest.raises(Stop, match=NEWER):
                work()
        assert list(db.iterdump()) == before
