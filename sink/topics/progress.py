"""What a restart needs so as not to read the whole spine, kept as the stream's reports are.

The topics' ends are the truth; this may be older, and then what stands in a topic already is passed over.
It also names who publishes: whoever claimed last.  One that finds another's name there ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from shared import wire
from shared.errors import LeaseLost, Stop
from shared.groups import Position
from shared.log.contract import LogBackend
from shared.tables import Schema
from shared.versions import check_version


class Published(Struct, frozen=True):
    """Everything up to that group is in the topics, which end at these offsets; ``ended`` after a clean stop.

    The log was read up to the offset ``end``: from the group to there it holds nothing that is whole and counts.
    """

    publisher: str = ""
    lease: int = 0
    number: int = 0
    offset: int = -1
    ended: bool = True
    offsets: dict[str, int] = {}
    end: int = 0
    version: int = 1

    @property
    def position(self) -> Position:
        """The group."""
        return Position(self.lease, self.number, self.offset)


class Progress:
    """One publisher's view of the record."""

    def __init__(self, log: LogBackend, prefix: str, publisher: str) -> None:
        self._log = log
        self._name, self._schema_name = f"topics {prefix}", f"topics {prefix} schema"
        self._publisher = publisher

    def claim(self) -> Published:
        """Take over; returns what was published, and ``ended`` says whether another may still be at it."""
        before = self._read()
        self._write(msgspec.structs.replace(before, publisher=self._publisher, ended=False))
        return before

    def check_owner(self) -> None:
        """LeaseLost where somebody claimed later."""
        if self._read().publisher != self._publisher:
            remedy = "Run one switchback-topics a stream and prefix"
            raise LeaseLost("another switchback-topics has taken over", where=self._name, remedy=remedy)

    def has_all(self, end: int) -> bool:
        """Whether nothing before that offset is left to be published."""
        return self._read().end >= end

    def keep(self, position: Position, offsets: Mapping[str, int], end: int, *, ended: bool = False) -> None:
        """Write how far it came."""
        self._write(Published(self._publisher, *position.parts, ended=ended, offsets=dict(offsets), end=end))

    def keep_schema(self, schema: Schema) -> None:
        """The schema stands at the spine's beginning, which a later start does not read."""
        self._log.report(self._schema_name, zlib.compress(wire.encode(schema)))

    def schema(self) -> Schema:
        """The schema that was kept."""
        body = self._log.reports().get(self._schema_name)
        if body is None:
            raise Stop("the tables' schema is not known", where=self._name, remedy="Set topics_prefix to a new name")
        return wire.decode_schema(zlib.decompress(body))

    def _read(self) -> Published:
        body = self._log.reports().get(self._name)
        found = msgspec.json.decode(body, type=Published) if body else Published()
        check_version(f"the progress of {self._name} is", found.version, Published().version)
        return found

    def _write(self, published: Published) -> None:
        self._log.report(self._name, msgspec.json.encode(published))
