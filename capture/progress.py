"""How far capture has come: a fold over the headers of the groups that count.  Pure.

The spine itself is the record of what was published; the checkpoint in the source only says from
where on to read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from shared.groups import Header, Kind, Position
from shared.postgres.snapshots import Snapshot


class TableProgress(Struct, frozen=True):
    """A table's snapshot: ``after`` is the hex of its last key, "" before the first chunk."""

    after: str = ""
    rows: int = 0
    total: int = 0
    done: bool = False


class Progress(Struct, frozen=True):
    """What the log holds of this source, up to and with the group (lease, number) at ``offset``."""

    lease: int = 0
    number: int = 0
    offset: int = -1
    seq: int = 0
    check: int = 0  # of the change with that seq (SQLite) or the sum over all published (PostgreSQL), 0 if not known
    horizon: str = ""  # the transaction below which everything is published, "" where nothing is (PostgreSQL)
    snapshot: str = ""  # and all that is: see ``published``
    floor: int = 0  # everything up to that seq of PostgreSQL's own is published too; of versions without a snapshot
    schema: bool = False
    copied: bool = False
    tables: dict[str, TableProgress] = {}

    @property
    def position(self) -> Position:
        """The last group's position."""
        return Position(self.lease, self.number, self.offset)

    @property
    def published(self) -> Snapshot:
        """The transactions of PostgreSQL that are published."""
        return Snapshot.of(self.snapshot, self.horizon)

    def grown(self, kind: Kind, seq: int, meta: Mapping[str, Any], position: Position) -> Progress:
        """The progress with one more group."""
        tables, check = self.tables, self.check
        horizon, snapshot, floor = self.horizon, self.snapshot, self.floor
        if kind == "snapshot":
            tables = {**tables, meta["table"]: _table_progress(meta)}
        elif kind == "changes":
            check = int(meta.get("check", 0))
            if "horizon" in meta:
                horizon, snapshot = str(meta["horizon"]), str(meta.get("snapshot", ""))
            floor = int(meta.get("floor", floor))
        return msgspec.structs.replace(
            self,
            lease=position.lease,
            number=position.number,
            seq=max(self.seq, seq),
            check=check,
            horizon=horizon,
            snapshot=snapshot,
            floor=floor,
            schema=self.schema or kind == "schema",
            copied=self.copied or (kind == "barrier" and meta.get("purpose") == "copied"),
            tables=tables,
        )

    def opened_at(self, position: Position) -> Progress:
        """The same behind the group with which the other side closed, if that came later."""
        if position.number <= self.number:
            return self
        return msgspec.structs.replace(self.at(position), schema=True, copied=True)

    def at(self, position: Position) -> Progress:
        """The same, now that the place in the log is known."""
        return msgspec.structs.replace(self, lease=position.lease, number=position.number, offset=position.offset)


def fold(progress: Progress, headers: Iterable[Header]) -> Progress:
    """The progress after some groups."""
    for header in headers:
        position = Position(header.lease, header.number)
        progress = progress.grown(header.kind, header.last_seq, header.meta, position)
    return progress


def _table_progress(meta: Mapping[str, object]) -> TableProgress:
    return msgspec.convert({name: meta[name] for name in ("after", "rows", "total", "done")}, TableProgress)


def encode_progress(progress: Progress) -> str:
    """As text for the source's state table."""
    return msgspec.json.encode(progress).decode()


def decode_progress(text: str | None) -> Progress:
    """From that text; nothing published where there is none."""
    return msgspec.json.decode(text, type=Progress) if text else Progress()
