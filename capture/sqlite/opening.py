"""From a path to a source that capture is installed in: the preconditions, checked each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from capture.progress import decode_progress
from capture.sqlite.holding import SqliteHold
from capture.sqlite.source import RECOPY, VACUUMED, SqliteSource, renumbered
from capture.wake import Waker
from shared.errors import BadInput, Retry, SchemaChanged
from shared.logs import Logger
from shared.settings import Settings
from shared.sqlite import fence
from shared.sqlite.catalog import fingerprint, null_keys, read_schema, schema_version
from shared.sqlite.connection import connect, reading, translated, writing
from shared.sqlite.installation import Installed, check_installed, install_within, stands
from shared.sqlite.state import read_state, write_state
from shared.tables import Schema


class SqliteSide:
    """Implements capture.session.Side."""

    def __init__(self, settings: Settings, logger: Logger) -> None:
        self._settings = settings
        self._logger = logger
        self.hold = SqliteHold(settings.source, settings.stream)

    def open(self, stack: ExitStack) -> tuple[SqliteSource, Waker]:
        """The file with capture installed, and what waits for its commits."""
        source = stack.enter_context(open_source(self._settings, self._logger))
        self.hold.schema = source.schema
        waker = Waker(self._settings.source, source.data_version, self._logger)
        return source, stack.enter_context(closing(waker))


@contextmanager
def open_source(settings: Settings, logger: Logger) -> Iterator[SqliteSource]:
    """Open the file, install what is missing, close it at the end.

    Where nothing is missing the write lock is not taken: to compare all triggers takes a tenth of a second.
    """
    path = settings.source
    with closing(connect(path, busy_seconds=settings.busy_seconds)) as db, translated(path):
        with reading(db):
            schema = read_schema(db, settings.tables, settings.exclude, settings.priorities)
            ready = _is_ready(db, schema, settings)
        if not schema.tables:
            raise BadInput("there is no table to copy", where=str(path), remedy="See tables and exclude")
        _check_keys(db, schema)
        if not ready:
            _install_in(db, schema, settings, logger)
        yield SqliteSource(db, path, schema, settings.chunk_rows)


def _is_ready(db: sqlite3.Connection, schema: Schema, settings: Settings) -> bool:
    """Whether all is as the last start left it, the schema's version too: a migration that comes later moves that."""
    state = read_state(db)
    noted = (state.get("fingerprint"), state.get("tables"), state.get("schema_version"))
    now = (fingerprint(db), _names(schema), str(schema_version(db)))
    return bool(state) and noted == now and stands(db, schema, settings.stream) and not fence.is_up(db)


def _install_in(db: sqlite3.Connection, schema: Schema, settings: Settings, logger: Logger) -> None:
    with writing(db):
        installed = _install(db, schema, settings)
    if installed.first:
        logger.info("capture installed", tables=len(schema.tables), incarnation=installed.incarnation)


def _install(db: sqlite3.Connection, schema: Schema, settings: Settings) -> Installed:
    """Check, repair and note the schema's version in one transaction, so that no migration slips in between."""
    _check_whole(db, schema, settings.source)
    _check_open(db, settings.source)
    installed = install_within(db, schema, settings.stream)
    if "fingerprint" not in read_state(db):
        write_state(db, fingerprint=fingerprint(db), tables=_names(schema))
    write_state(db, schema_version=str(schema_version(db)))
    return installed


def _check_open(db: sqlite3.Connection, path: Path) -> None:
    """Capture begins where writers may write; what is left of a fence that an older version took down is removed."""
    state = read_state(db)
    if state.get("role", "primary") != "primary":
        raise Retry("the source was closed just now", where=str(path))
    if not state and fence.closed_tables(db):
        remedy = "`switchback uninstall --unfence` opens it"
        raise BadInput(
            "the file is closed since `switchback complete` ended a migration", where=str(path), remedy=remedy
        )
    fence.take_down(db)


def _check_whole(db: sqlite3.Connection, schema: Schema, path: Path) -> None:
    """Before anything is repaired: what a migration did while no capture ran leaves a hole that stays."""
    state = read_state(db)
    if not state:
        return
    wrong = check_installed(db, schema)
    if state.get("fingerprint", fingerprint(db)) != fingerprint(db):
        wrong.append("the schema is another one than when capture was installed")
    others = state.get("tables", _names(schema)) != _names(schema)
    loose = renumbered(schema, copied=decode_progress(state.get("checkpoint")).copied)
    moved = state.get("schema_version", "") not in ("", str(schema_version(db)))
    if moved and loose and not wrong:
        raise SchemaChanged(VACUUMED, where=f"table {', '.join(loose)}", remedy=RECOPY)
    if wrong:
        what = f"a migration changed the source while capture was away: {'; '.join(wrong[:3])}"
        raise SchemaChanged(what, where=str(path), remedy=RECOPY)
    if others:
        what = "other tables are chosen than those that this stream was begun with"
        raise BadInput(what, where=state["tables"], remedy=f"Choose the same, or: {RECOPY}")


def _names(schema: Schema) -> str:
    return ", ".join(sorted(table.name for table in schema.tables))


def _check_keys(db: sqlite3.Connection, schema: Schema) -> None:
    for table in schema.tables:
        count = null_keys(db, table)
        if count:
            remedy = "Give these rows a key, or leave the table out with exclude"
            raise BadInput(f"{count} rows have NULL in their key", where=f"table {table.name}", remedy=remedy)
