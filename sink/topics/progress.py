"""From where the spine is to be read when the program starts again: kept beside the replicas' reports.

It may be older than what the topics hold, never newer: it is written behind a flush.  What was published beyond it
is told by the topics' ends.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from shared import wire
from shared.groups import Position
from shared.log.contract import LogBackend
from shared.tables import Schema

_NAME = "topics"


class Progress(Struct, frozen=True):
    """The last group published, of which source, in which shape; ``ended`` after a stop in good order."""

    incarnation: str = ""
    lease: int = 0
    number: int = 0
    offset: int = -1
    schema: bytes = b""
    ended: bool = True

    @property
    def position(self) -> Position:
        """That group."""
        return Position(self.lease, self.number, self.offset)

    @property
    def shape(self) -> Schema | None:
        """The source's tables, None before they were seen."""
        return wire.decode_schema(self.schema) if self.schema else None


def read_progress(log: LogBackend) -> Progress:
    """The latest."""
    body = log.reports().get(_NAME)
    return msgspec.msgpack.decode(body, type=Progress) if body else Progress()


def send_progress(log: LogBackend, progress: Progress) -> None:
    """Keep it as the latest."""
    log.report(_NAME, msgspec.msgpack.encode(progress))
