"""The SQLite primary as the relay sees it: every read is short, and begins with the same checks.

Read together in one transaction, before anything else: the lease (another capture may have taken
over), SQLite's schema version (a migration may have dropped a trigger, a VACUUM renumbered rowids),
the highest seq and the change published last (the file may have been restored from an older copy, also
under an open connection, and have got as many changes again since).
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from capture.census import take_census
from capture.progress import Progress, decode_progress, encode_progress
from capture.sqlite.chunks import Chunk, TableReader, estimate_rows
from capture.sqlite.readers import side_by_side
from shared.errors import LeaseLost, Retry, SchemaChanged, SourceRestored
from shared.groups import Change, Position
from shared.sqlite.catalog import fingerprint, schema_version
from shared.sqlite.changelog import high, prune, read_changes
from shared.sqlite.connection import FileIdentity, fetch_rows, reading, same_file, translated, writing
from shared.sqlite.installation import check_installed
from shared.sqlite.state import read_state, write_state
from shared.tables import Schema

RECOPY = "Copy again, for changes may be missing: `switchback uninstall --all`, empty the target, `switchback run`"
OLDER = "The file is an older copy of what was replicated: bring the newer one back, or copy again"
_ROW = "SELECT * FROM _switchback_log WHERE seq = ?"
_SPAN = "SELECT (SELECT min(seq) FROM _switchback_log), (SELECT max(seq) FROM _switchback_log)"
_OLDEST = "SELECT ms FROM _switchback_log WHERE seq > ? ORDER BY seq LIMIT 1"
_PAGE = 5_000

VACUUMED = (
    "the source was vacuumed, or a view, a trigger or statistics came or went: this cannot be told apart, and a VACUUM"
    " renumbers rows that are known by their rowid alone"
)


def renumbered(schema: Schema, *, copied: bool) -> list[str]:
    """The tables to which a VACUUM does harm: those without a key, and those being copied in the order of rowids."""
    copying = [table for table in schema.tables if not copied and table.rowid_name and table.identity is None]
    return [table.name for table in schema.tables if table.key_kind == "rowid" or table in copying]


class SqliteSource:
    """Implements capture.relay.Source on a file in which capture is installed."""

    def __init__(self, db: sqlite3.Connection, path: Path, schema: Schema, chunk_rows: int) -> None:
        self._db = db
        self._path = path
        self._identity = FileIdentity.of(path)
        self.schema = schema
        self._chunk_rows = chunk_rows
        self._readers = {table.name: TableReader(table) for table in schema.tables}
        self._lease = 0
        self._seen_seq = 0
        self._last = (0, 0)  # seq and checksum of the change published last
        self._compared = (0, 0)  # that seq, and SQLite's data version when it was last compared
        with self._translated(), reading(db):
            state = read_state(db)
            self.incarnation = self.origin = state["incarnation"]
            opened = Position(*json.loads(state.get("opened", "[0, 0, -1]")))
            self.progress = decode_progress(state.get("checkpoint")).opened_at(opened)
            self.copied = self.progress.copied
            self._version = int(state.get("schema_version") or schema_version(db))  # as the installation left it
            self._fingerprint = state.get("fingerprint") or fingerprint(db)

    def take_lease(self) -> int:
        """Raise the lease in the source."""
        with self._translated(), writing(self._db):
            self._lease = int(read_state(self._db).get("lease", "0")) + 1
            write_state(self._db, lease=str(self._lease))
        return self._lease

    def high(self) -> int:
        """The highest seq."""
        with self._checked() as highest:
            return highest

    def chunk(self, table: str, after: str) -> tuple[Chunk, int]:
        """A chunk and the highest seq."""
        with self._checked() as highest:
            return self._readers[table].read(self._db, after, self._chunk_rows), highest

    def changes(self, after: int, upto: int) -> Iterator[list[Change]]:
        """Pages of changes; each is read by itself, since what is below ``upto`` never changes."""
        while after < upto:
            with self._checked():
                page = read_changes(self._db, self.schema, after, upto, _PAGE)
            after = page[-1].seq
            yield page

    def mark(self, high: int) -> dict[str, object]:
        """The checksum of the change with that seq."""
        return {"check": self._check_of(high) or 0}

    def published(self, progress: Progress) -> None:
        """Every read compares the change published last."""
        self._last = (progress.seq, progress.check)

    def go_on(self, progress: Progress) -> None:
        """The change that was published last must be there, and be the same."""
        highest, seq = self.high(), progress.seq
        check = self._check_of(seq) if seq else None
        if highest < seq or (check is not None and progress.check not in (0, check)):
            what = f"the source goes up to change {highest}, the log to {seq}, and they do not fit together"
            raise SourceRestored(what, remedy=OLDER)
        self._last = (seq, progress.check if check else 0)

    def _check_of(self, seq: int) -> int | None:
        with self._translated(), reading(self._db):
            return self._checksum(seq)

    def _checksum(self, seq: int) -> int | None:
        """A checksum over the log's row, never 0; None where it was pruned."""
        rows = fetch_rows(self._db, _ROW, (seq,))
        return zlib.crc32(repr(rows[0]).encode(errors="surrogateescape")) or 1 if rows else None

    def census(self) -> Schema:
        """Every table with its census."""
        with self._translated(), side_by_side(self._path) as each:
            return Schema(tuple(take_census(self._db, table, each) for table in self.schema.tables))

    def estimates(self) -> dict[str, int]:
        """Rows by table, about."""
        with self._checked():
            return {table.name: estimate_rows(self._db, table) for table in self.schema.tables}

    def save(self, progress: Progress) -> None:
        """Write the checkpoint under the lease."""
        with self._translated(), writing(self._db):
            self._check_lease()
            write_state(self._db, checkpoint=encode_progress(progress), schema_version=str(self._version))

    def prune(self, upto: int, limit: int) -> int:
        """Delete changes up to that seq, at most ``limit``; returns how many went."""
        with self._translated(), writing(self._db):
            self._check_lease()
            return prune(self._db, upto, limit)

    def data_version(self) -> int:
        """SQLite's counter of other connections' commits."""
        with self._translated():
            return self._data_version()

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def depth(self) -> tuple[int, int]:
        """How many changes the change log holds, and the highest seq."""
        with self._translated(), reading(self._db):
            lowest, highest = self._db.execute(_SPAN).fetchone()
        return (highest - lowest + 1, highest) if highest else (0, 0)

    def oldest_ms(self, after: int) -> int | None:
        """When the first change behind that seq was committed."""
        with self._translated(), reading(self._db):
            row = self._db.execute(_OLDEST, (after,)).fetchone()
        return int(row[0]) if row else None

    @contextmanager
    def _checked(self) -> Iterator[int]:
        if not same_file(self._path, self._identity):
            what = "the source file was replaced by another one"
            raise SourceRestored(what, where=str(self._path), remedy=RECOPY)
        with self._translated(), reading(self._db):
            self._check_lease()
            self._check_schema()
            highest = high(self._db)
            if highest < self._seen_seq:
                what = f"the source went back from change {self._seen_seq} to {highest}"
                raise SourceRestored(what, where=str(self._path), remedy=RECOPY)
            self._check_last()
            self._seen_seq = highest
            yield highest

    def _check_last(self) -> None:
        """Looks only where another connection has committed, for a row may be large; the last one is never pruned."""
        seq, check = self._last
        now = (seq, self._data_version())
        if not check or now == self._compared:
            return
        if self._checksum(seq) != check:
            what = f"change {seq} of the source is not the one that was published"
            raise SourceRestored(what, where=str(self._path), remedy=OLDER)
        self._compared = now

    def _check_lease(self) -> None:
        state = read_state(self._db)
        lease = int(state.get("lease", "0"))
        if state.get("role", "primary") != "primary":
            raise Retry("the source was closed for the next epoch", where=str(self._path))
        if lease > self._lease:
            what = f"another capture has taken over with lease {lease}"
            raise LeaseLost(what, where=str(self._path), remedy="Run one capture a source")
        if lease < self._lease:
            what = f"the source's lease went back from {self._lease} to {lease}"
            raise SourceRestored(what, where=str(self._path), remedy=RECOPY)

    def _check_schema(self) -> None:
        """Called with every read; looks closer only when SQLite's schema version moved."""
        version = schema_version(self._db)
        if version == self._version:
            return
        if read_state(self._db).get("schema_version") == str(version):  # a fence was made; see its notes
            self._version = version
            return
        wrong = check_installed(self._db, self.schema)
        if wrong:
            what = f"a migration changed the source: {'; '.join(wrong[:3])}"
            raise SchemaChanged(what, where=str(self._path), remedy=RECOPY)
        loose = renumbered(self.schema, copied=self.copied)
        if loose and fingerprint(self._db) == self._fingerprint:
            raise SchemaChanged(VACUUMED, where=f"table {', '.join(loose)}", remedy=RECOPY)
        if fingerprint(self._db) != self._fingerprint:
            what = "a migration changed the source's schema"
            raise SchemaChanged(what, where=str(self._path), remedy=RECOPY)
        self._version = version

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._path)
