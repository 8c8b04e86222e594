"""What a backend of the log must do; everything about leases, numbers and frames stands above it.

A backend holds, for one stream, two logs of records (the spine and the control stream) and the
latest report of each replica.  A record is a few ASCII headers and a value; its offset only grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Record(NamedTuple):
    """What is sent: headers in the order in which they are shown, and the payload."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes


class StoredRecord(NamedTuple):
    """What comes back: the same with its place.  Somebody else's record may have headers without a value."""

    offset: int
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes


class RecordStore(Protocol):
    """An ordered log of records.  One thread uses an instance at a time.

    Every method raises Retry while the log cannot be reached and Stop where it will not do
    (a topic with settings that would lose records, a full disk that stays full).
    """

    def warm(self) -> None:
        """Do beforehand what the first ``send`` would have to do first, where somebody will wait for it."""

    def send(self, record: Record) -> None:
        """Append behind everything sent so far; it may not be durable before the next flush."""

    def flush(self) -> int:
        """Wait until all that was sent is durable and return the last one's offset (-1: none was sent).

        After an error, which of the sent records exist is unknown: claim a new lease and read.
        """

    def fetch(self, offset: int, timeout: float) -> list[StoredRecord]:
        """Records from that offset on, some megabytes at the most; waits up to ``timeout`` seconds for the first.

        Offsets may have gaps where a backend uses some for itself.  Raises SpineBroken where the offset is
        below the first one kept, or beyond the one that the next record will get.
        """

    def bounds(self) -> tuple[int, int]:
        """The first offset kept and the one that the next record will get."""

    def discard(self, offset: int) -> None:
        """Records below that offset may go (a backend with retention of its own ignores it)."""

    def close(self) -> None:
        """Let go of files and connections; what was not flushed may be lost."""


@runtime_checkable
class LogBackend(Protocol):
    """A stream's place in a log technology; opening it makes what is missing and checks what is there."""

    @property
    def spine(self) -> RecordStore:
        """The history itself."""

    @property
    def control(self) -> RecordStore:
        """Intents and answers of a cutover; kept for ever."""

    def report(self, replica: str, body: bytes) -> None:
        """Keep ``body`` as the latest report of that replica; a hint for others, never the truth."""

    def reports(self) -> dict[str, bytes]:
        """The latest report of each replica."""

    def close(self) -> None:
        """Let go of files and connections; what was not flushed may be lost."""
