"""What the demo application knows while it works: its connection, its dice and which rows there are.

Rows are picked by a random point between a table's lowest and highest id, which are looked up from
time to time; ``keeps`` remembers how wide that span was at first, so that tables stay about as large.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from operations.demo.target import Refused, Row, Target

LISTED = (
    "users", "companies", "contacts", "leads", "tasks", "notes", "emails", "tags", "visitor_sessions",
    "tracking_events", "login_sessions", "audit_log", "credit_transfers", "attachments",
)  # fmt: skip
"""Tables whose ids are kept in mind."""

YES, NO = True, False
"""Flags, as values of statements."""

LEAST_SPAN = 500
"""A table that starts smaller may grow to this many ids."""


@dataclass
class Application:
    """One writer's application; an operation is a function of it that runs inside a transaction."""

    target: Target
    draw: Random
    writer: int = 1
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    keeps: dict[str, int] = field(default_factory=dict)
    timings: int = 0
    """Rows of page_timings that this writer added and did not take away again: that table has no ids."""

    def look_around(self) -> None:
        """Look up the ids' spans; outside of any transaction."""
        for table in LISTED:
            low, high = self.run(f'SELECT (SELECT min("id") FROM "{table}"), (SELECT max("id") FROM "{table}")')[0]  # noqa: S608
            self.spans[table] = (low or 0, high or 0)
            self.keeps.setdefault(table, max((high or 0) - (low or 0), LEAST_SPAN))

    def run(self, sql: str, *values: object) -> list[Row]:
        """Run one statement."""
        return self.target.run(sql, values)

    def some(self, table: str) -> int:
        """The id of some row; gives up if the table is empty."""
        point = self.draw.randint(*self.spans[table])
        rows = self.run(f'SELECT "id" FROM "{table}" WHERE "id" >= ? ORDER BY "id" LIMIT 1', point)  # noqa: S608
        rows = rows or self.run(f'SELECT "id" FROM "{table}" ORDER BY "id" DESC LIMIT 1')  # noqa: S608
        if not rows:
            give_up()
        return int(rows[0][0])

    def overgrown(self, table: str) -> bool:
        """Whether the table spans far more ids than at first."""
        low, high = self.spans[table]
        return high - low > self.keeps[table] * 3 // 2

    def replace(self, table: str, row: dict[str, object], *displaced: tuple[str, Sequence[object]]) -> None:
        """INSERT OR REPLACE; elsewhere than in SQLite, first delete what the conditions in ``displaced`` say."""
        verb = "INSERT OR REPLACE" if self.target.replaces else "INSERT"
        for condition, values in () if self.target.replaces else displaced:
            self.target.run(f'DELETE FROM "{table}" WHERE {condition}', values)  # noqa: S608
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self.target.run(f'{verb} INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))

    def chance(self, share: float) -> bool:
        """True in that share of all cases."""
        return self.draw.random() < share

    def token(self) -> str:
        """32 hex digits that no one has drawn before."""
        return f"{self.draw.getrandbits(128):032x}"

    def words(self, count: int) -> int:
        """Bits for ``vocabulary.sentence`` of that many words."""
        return self.draw.getrandbits(5 * count)


Operation = Callable[[Application], None]


def give_up() -> None:
    """Roll the transaction back, on purpose."""
    raise Refused("deliberate")


def seconds() -> int:
    """Now, in epoch seconds."""
    return int(time.time())


def milliseconds() -> int:
    """Now, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def text(timespec: str = "seconds") -> str:
    """Now, as ``2025-03-01 09:30:00``, or with more digits."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(" ", timespec)


def iso() -> str:
    """Now, as ``2025-03-01T09:30:00+00:00``."""
    return datetime.now(UTC).isoformat("T", "seconds")


def zulu() -> str:
    """Now, as ``2025-03-01T09:30:00.000Z``."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"
