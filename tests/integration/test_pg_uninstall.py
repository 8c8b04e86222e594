"""What was made in PostgreSQL for the way back is removed while the application writes there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from captured import Captured
from daemons import wait_until
from inprocess import STREAM
from operations.uninstall import forget_in_target
from shared.errors import BadInput
from shared.postgres import reverse
from shared.settings import Settings

SCRIPT = """
CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER);
CREATE TABLE two (id INTEGER PRIMARY KEY, n INTEGER);
INSERT INTO one VALUES (1, 0), (2, 0);
INSERT INTO two VALUES (1, 0), (2, 0);
"""
_TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'switchback%'"
_WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'switchback-uninstall' AND wait_event_type = 'Lock'"


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


class Removal(threading.Thread):
    """Removes it all beside the test."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            forget_in_target(Settings(target=SecretStr(self._dsn), stream=STREAM))
        except Exception as error:  # noqa: BLE001  (for the test to look at)
            self.error = error


def _triggers(captured: Captured) -> int:
    with captured.connect() as db:
        row = db.execute(_TRIGGERS).fetchone()
    assert row
    return int(row[0])


def _is_waiting(captured: Captured) -> bool:
    with captured.connect() as db:
        return db.execute(_WAITING).fetchone() is not None


@pytest.mark.parametrize(("first", "then"), [("one", "two"), ("two", "one")])
def test_a_writer_in_whatever_order_gets_no_error(captured: Captured, first: str, then: str) -> None:
    removal = Removal(captured.dsn)
    with captured.connect() as writer:
        writer.execute("SET deadlock_timeout = '10s'")
        writer.execute(f"UPDATE {first} SET n = 1 WHERE id = 1".encode())
        removal.start()
        wait_until("it waits for the writer", lambda: _is_waiting(captured))
        writer.execute("SET statement_timeout = '5s'")
        writer.execute(f"UPDATE {then} SET n = 1 WHERE id = 1".encode())
    removal.join()
    assert removal.error is None
    assert _triggers(captured) == 0


def test_two_writers_in_opposite_orders_write_on_while_it_is_removed(captured: Captured) -> None:
    removal, written = Removal(captured.dsn), [0, 0]
    errors: list[Exception] = []

    def write(place: int, *tables: str) -> None:
        try:
            with captured.connect() as db:
                while not removed.is_set():
                    for table in tables:
                        db.execute(f"UPDATE {table} SET n = n + 1 WHERE id = {place + 1}".encode())
                        db.execute("SELECT pg_sleep(0.005)")
                    db.commit()
                    written[place] += 1
        except psycopg.Error as error:
            errors.append(error)

    removed = threading.Event()
    writers = [
        threading.Thread(target=write, args=(0, "one", "two"), daemon=True),
        threading.Thread(target=write, args=(1, "two", "one"), daemon=True),
    ]
    for writer in writers:
        writer.start()
    wait_until("both write", lambda: min(written) > 0 or errors)
    removal.start()
    removal.join()
    removed.set()
    for writer in writers:
        writer.join()
    assert errors == []
    assert removal.error is None
    assert _triggers(captured) == 0


def test_what_a_long_transaction_keeps_is_named_and_the_rest_can_be_removed_later(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reverse, "_PATIENCE_SECONDS", 0.1)
    with captured.connect() as db, captured.connect(application_name="cron") as long:
        db.autocommit = True
        long.execute("UPDATE two SET n = 1 WHERE id = 1")
        with pytest.raises(BadInput, match=r"from table two within 0.1 s: process \d+ \(cron, .*run the same again"):
            reverse.uninstall(db, STREAM)
        long.rollback()
        assert _triggers(captured) == 3
        removed = reverse.uninstall(db, STREAM)
        assert "trigger switchback_fence on two" in removed
        assert "trigger switchback_fence on one" not in removed
        assert reverse.uninstall(db, STREAM) == []
    assert _triggers(captured) == 0
