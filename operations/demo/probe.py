"""What a user of the replica sees while it follows: how late changes come, and whether sums ever waver."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import psycopg

from operations.demo.rows_people import OPENING_BALANCE
from operations.demo.work_office import INVARIANT_SQL

_PAUSE_SECONDS = 0.05
PROBE = 0  # no writer of the application's has this number
_PATIENCE_SECONDS = 10.0


class Probe:
    """Writes a row now and then, and looks how long it takes until PostgreSQL shows it."""

    def __init__(self, source: Path, target: str) -> None:
        self._source = source
        self._target = target
        self._latencies: list[float] = []
        self.sums = 0
        self.wrong_sums = 0

    def run(self, seconds: float) -> None:
        """Probe for so long."""
        end = time.monotonic() + seconds
        source = sqlite3.connect(self._source, timeout=10, isolation_level=None)
        with psycopg.connect(self._target, autocommit=True) as replica:
            users = replica.execute('SELECT count(*) FROM "credit_accounts"').fetchone()
            total = OPENING_BALANCE * (users[0] if users else 0)
            number = 0
            while time.monotonic() < end:
                number += 1
                source.execute('INSERT INTO "write_ledger" VALUES (?, ?, ?)', (PROBE, number, "probe"))
                self._wait_for(replica, number)
                row = replica.execute(INVARIANT_SQL.encode()).fetchone()
                self.sums += 1
                self.wrong_sums += int(row is None or int(row[0]) != total)
                time.sleep(_PAUSE_SECONDS)
        source.close()

    def _wait_for(self, replica: psycopg.Connection, number: int) -> None:
        began = time.perf_counter()
        find = 'SELECT FROM "write_ledger" WHERE "writer" = %s AND "number" = %s'
        while not replica.execute(find, (PROBE, number)).rowcount:
            if time.perf_counter() - began > _PATIENCE_SECONDS:
                break
            time.sleep(0.0005)
        self._latencies.append((time.perf_counter() - began) * 1000)

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of the probes was visible."""
        ordered = sorted(self._latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
