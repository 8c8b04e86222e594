"""From a path to a source that capture is installed in: the preconditions, checked each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from capture.sqlite.source import SqliteSource
from shared.errors import BadInput
from shared.logs import Logger
from shared.settings import Settings
from shared.sqlite.catalog import findings, null_keys, read_schema
from shared.sqlite.connection import connect, reading, translated
from shared.sqlite.installation import install
from shared.tables import Schema


@contextmanager
def open_source(settings: Settings, logger: Logger) -> Iterator[SqliteSource]:
    """Open the file, install what is missing, close it at the end."""
    path = settings.source
    with closing(connect(path, busy_seconds=settings.busy_seconds)) as db, translated(path):
        with reading(db):
            schema = read_schema(db, settings.tables, settings.exclude, settings.priorities)
            found = [finding for finding in findings(db) if finding.level == "refuse"]
        if not schema.tables:
            raise BadInput("there is no table to copy", where=str(path), remedy="See tables and exclude")
        if found:
            first = found[0]
            raise BadInput(first.what, where=first.where, remedy=first.remedy)
        done = install(db, schema, settings.stream)
        logger.info("capture is installed", tables=len(schema.tables), done=str(done))
        _check_keys(db, schema)
        yield SqliteSource(db, path, schema, settings.chunk_rows)


def _check_keys(db, schema: Schema) -> None:  # noqa: ANN001
    for table in schema.tables:
        count = null_keys(db, table)
        if count:
            remedy = "Give these rows a key, or leave the table out with exclude"
            raise BadInput(f"{count} rows have NULL in their key", where=f"table {table.name}", remedy=remedy)
