"""Logs under test: where they are, how to spoil them, and groups to fill them with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import kafka

from shared import wire
from shared.groups import Abandoned, Change, Frame, Header, Position
from shared.log.contract import LogBackend, Record
from shared.log.headers import to_headers
from shared.log.opening import open_log
from shared.log.spine import Reader, Writer

INCARNATION = "i"


class LogPlace(Protocol):
    """A stream's log in one technology; ``open`` may be called often, each time for another program."""

    stream: str

    @property
    def url(self) -> str:
        """What ``open_log`` takes."""

    def open(self) -> LogBackend:
        """Open it once more."""

    def expire(self, offset: int) -> None:
        """Take away what stands below that offset, as retention would."""

    def recreate(self) -> None:
        """Throw the log away and make an empty one under the same name."""

    def close(self) -> None:
        """Close whatever was opened."""


@dataclass
class EmbeddedPlace:
    path: Path
    stream: str
    opened: list[LogBackend] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"embedded:{self.path}"

    def open(self) -> LogBackend:
        self.opened.append(open_log(self.url, self.stream))
        return self.opened[-1]

    def expire(self, offset: int) -> None:
        with closing(open_log(self.url, self.stream)) as log:
            log.spine.discard(offset)

    def recreate(self) -> None:
        self.close()
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink()
        self.open()

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


@dataclass
class KafkaPlace:
    bootstrap: str
    stream: str
    opened: list[LogBackend] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    @property
    def topic(self) -> str:
        return f"{self.stream}.spine"

    def open(self) -> LogBackend:
        self.opened.append(open_log(self.url, self.stream))
        return self.opened[-1]

    def expire(self, offset: int) -> None:
        with closing(kafka.KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.delete_records({kafka.TopicPartition(self.topic, 0): offset})

    def recreate(self) -> None:
        self.close()
        with closing(kafka.KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.delete_topics([self.topic])
            while self.topic in admin.list_topics():
                time.sleep(0.05)
        self.open()

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


def writer_of(log: LogBackend, stream: str) -> Writer:
    return Writer(log.spine, stream, INCARNATION)


def claimed(log: LogBackend, stream: str, lease: int, after: Position | None = None) -> Writer:
    """A writer whose claim of that lease was accepted."""
    writer = writer_of(log, stream)
    writer.claim(lease, after or Position())
    return writer


def append(writer: Writer, *texts: str) -> Position:
    """One group of one change a text."""
    changes = [Change("t", "c", number, 1_000 + number, [number, text]) for number, text in enumerate(texts, 1)]
    return append_pieces(writer, wire.encode_changes(changes))


def append_pieces(
    writer: Writer, pieces: Iterable[bytes], kind: Literal["changes", "snapshot", "barrier"] = "changes"
) -> Position:
    return writer.append(kind, pieces, epoch=0, first_seq=1, last_seq=0)


def half_a_group(log: LogBackend, writer: Writer) -> None:
    """What a writer leaves that dies between the frames of its next group."""

    def pieces() -> Iterator[bytes]:
        yield wire.encode([Change("t", "c", 1, 1, [1, "half"])])
        yield wire.encode([Change("t", "c", 2, 1, [2, "half"])])
        raise InterruptedError

    try:
        append_pieces(writer, pieces())
    except InterruptedError:
        log.spine.flush()


def read_events(reader: Reader) -> list[Frame | Abandoned]:
    """Everything up to where the log ends now."""
    end = reader._store.bounds()[1]
    found: list[Frame | Abandoned] = []
    while reader._offset < end:
        found += reader.read(1)
    return found


def texts_of(events: Iterable[Frame | Abandoned]) -> list[list[str]]:
    """The texts of each whole group."""
    groups: list[list[str]] = []
    texts: list[str] = []
    for event in events:
        if isinstance(event, Abandoned):
            texts = []
            continue
        texts += [change.values[1] for change in wire.decode_changes(event.piece)]
        if event.header.last:
            groups.append(texts)
            texts = []
    return groups


def read_texts(log: LogBackend, stream: str, after: Position | None = None) -> list[list[str]]:
    """The texts of each group that counts, by a reader of its own."""
    return texts_of(read_events(Reader(log.spine, stream, after or Position())))


def copy_records(log: LogBackend, first: int, last: int) -> None:
    """Append the records of those offsets once more, as a resend would."""
    records = [record for record in log.spine.fetch(first, 5) if record.offset <= last]
    for record in records:
        headers = [(name, value) for name, value in record.headers if value is not None]
        log.spine.send(Record(headers, record.value))
    log.spine.flush()


def send_header(log: LogBackend, header: Header, value: bytes = b"") -> None:
    """Append a record with that header, past every rule."""
    log.spine.send(Record(to_headers(header), value))
    log.spine.flush()
