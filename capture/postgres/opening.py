"""PostgreSQL as capture works with it while it is the primary."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

from capture.postgres.holding import PostgresHold
from capture.postgres.source import PostgresSource
from shared.postgres.connection import connect, translated
from shared.postgres.fence import renew
from shared.postgres.ledger import read_source_schema
from shared.settings import Settings


class Pause:
    """Waits between two looks: PostgreSQL has no cheap way to wake somebody (NOTIFY makes commits queue)."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def wait(self, floor: float) -> None:
        """Wait that long, or until told to stop."""
        self._stop.wait(floor)


class PostgresSide:
    """Implements capture.session.Side."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self.hold = PostgresHold(settings.target.get_secret_value, settings.stream)

    def open(self, stack: ExitStack) -> tuple[PostgresSource, Pause]:
        """The database, and what waits between two looks at it."""
        settings = self._settings
        renew_triggers(settings)
        source = stack.enter_context(closing(PostgresSource(settings.target.get_secret_value(), settings.stream)))
        self.hold.source = source
        return source, Pause(self._stop)


def renew_triggers(settings: Settings) -> None:
    """Make them anew where none are kept."""
    name = f"switchback-capture {settings.stream}"
    with connect(settings.target.get_secret_value(), application_name=name) as db, translated(where="the triggers"):
        if schema := read_source_schema(db, settings.stream):
            renew(db, settings.stream, schema)
