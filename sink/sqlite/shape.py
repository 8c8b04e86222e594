"""Whether the file's tables are still those that the replica is written by: DDL and VACUUM pass the fence."""

from __future__ import annotations

from pathlib import Path

import apsw
from msgspec import structs

from shared.errors import BadInput, SchemaChanged
from shared.sqlite import fence
from shared.sqlite.catalog import fingerprint, schema_version
from shared.sqlite.catalog import read_schema as read_present
from shared.sqlite.state import read_note, write_state
from shared.tables import Schema, Table

_REMEDY = "Undo it in the file, or copy again; tables are to be changed on neither side between the cutovers"
_CLOSE_AGAIN = (
    "Close it (INSERT INTO _switchback_fence VALUES (1)), start the sink and run `switchback verify`: "
    "what was written meanwhile is not in PostgreSQL"
)


class Shape:
    """Looks closer only where SQLite's schema version moved; what was found right is noted in the file."""

    def __init__(self, db: apsw.Connection, path: Path, schema: Schema) -> None:
        self._db = db
        self._path = path
        self._schema = schema
        self._version = -1

    def check(self) -> None:
        """In a write transaction; SchemaChanged naming what was changed."""
        if not fence.is_up(self._db) and read_note(self._db, "role") == "replica":  # another sink may have opened it
            what = "somebody has opened the SQLite file while it was a replica, so it may have been written to"
            raise SchemaChanged(what, where=f"{self._path}, table {fence.TABLE}", remedy=_CLOSE_AGAIN)
        version = schema_version(self._db)
        if version == self._version:
            return
        if read_note(self._db, "schema_version") != str(version):
            self._look(version)
        self._version = version

    def _look(self, version: int) -> None:
        if fingerprint(self._db) != read_note(self._db, "fingerprint"):
            raise self._changed(
                "somebody has changed the tables of the SQLite file while it was a replica", self._what()
            )
        unfenced = sorted(set(self._schema.by_name) - fence.closed_tables(self._db))
        if unfenced:
            what = "the fence of a table is gone, so it may have been written to"
            raise self._changed(what, f"table {', '.join(unfenced)}")
        loose = [table.name for table in self._schema.tables if table.key_kind == "rowid"]
        if loose:
            what = "the SQLite file was vacuumed, which renumbers rows that are known by their rowid alone"
            raise self._changed(what, f"table {', '.join(loose)}")
        write_state(self._db, schema_version=str(version))

    def _what(self) -> str:
        try:
            present = read_present(self._db).by_name
        except BadInput as error:
            return str(error)
        now = {table.name: present.get(table.name) for table in self._schema.tables}
        gone = [f"table {name} is gone" for name, table in now.items() if table is None]
        other = [f"table {table.name} is another" for table in self._schema.tables if _differ(table, now[table.name])]
        new = [f"table {name} is new" for name in present if name not in now]
        return "; ".join([*gone, *other, *new][:3]) or "an index"

    def _changed(self, what: str, where: str) -> SchemaChanged:
        return SchemaChanged(what, where=f"{self._path}, {where}", remedy=_REMEDY)


def _differ(before: Table, now: Table | None) -> bool:
    return now is not None and _bare(before) != _bare(now)


def _bare(table: Table) -> Table:
    columns = tuple(structs.replace(column, census=type(column.census)()) for column in table.columns)
    return structs.replace(table, columns=columns, foreign_keys=())
