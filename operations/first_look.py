"""What ``switchback run`` looks at before it makes anything: a wrong word leaves no trace on either side."""

from __future__ import annotations

from contextlib import closing, suppress

from operations.preflight_source import wrong_types
from operations.screen import explained
from shared.errors import BadInput, Retry
from shared.log.opening import check_place
from shared.postgres.connection import connect as connect_postgres
from shared.postgres.connection import server_of
from shared.presence import check_not_completed
from shared.settings import Settings
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import reading, translated


def look_first(settings: Settings) -> None:
    """BadInput where source, log or target cannot be what is meant; what is only away or busy passes."""
    check_not_completed(settings.state_dir, settings.stream)
    for look in (_look_at_source, check_place, _look_at_target):
        with suppress(Retry):
            look(settings)


def _look_at_source(settings: Settings) -> None:
    path = settings.source
    with closing(connect_sqlite(path, readonly=True)) as db, translated(path), reading(db):
        if not read_schema(db, settings.tables, settings.exclude, settings.priorities).tables:
            raise BadInput("there is no table to copy", where=str(path), remedy="See source, tables and exclude")
        for error in wrong_types(db, settings):
            raise error


def _look_at_target(settings: Settings) -> None:
    dsn = settings.target.get_secret_value()
    with explained(f"waiting for {server_of(dsn)} ..."):
        connect_postgres(dsn, application_name="switchback-run").close()
