"""Table topics under test: a spine made by hand or by capture, a plain consumer, and what its records come to."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kafka

from daemons import PATIENCE, Daemon
from shared import wire
from shared.control.channel import Channel
from shared.control.records import OPERATOR, Completed
from shared.groups import Change, Position
from shared.log.contract import LogBackend, Record
from shared.log.opening import open_log
from shared.log.spine import Writer
from shared.tables import Schema

Row = dict[str, Any]


@dataclass(frozen=True)
class Read:
    """A record as any consumer gets it; schemas are left out where there are any."""

    offset: int
    key: Row
    value: Row | None
    headers: dict[str, str]

    @property
    def place(self) -> tuple[int, int, int]:
        change, part = self.headers["switchback.index"].split(".")
        return int(self.headers["switchback.group"]), int(change), int(part)


def raw_records(bootstrap: str, topic: str) -> list[Any]:
    """Every record of the topic, by a consumer with the client's own defaults."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    place = kafka.TopicPartition(topic, 0)
    with closing(consumer):
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        consumer.seek_to_beginning(place)
        found: list[Any] = []
        while consumer.position(place) < end:
            found += consumer.poll(timeout_ms=500).get(place, [])
        return found


def records(bootstrap: str, topic: str) -> list[Read]:
    found = []
    for record in raw_records(bootstrap, topic):
        headers = {name: value.decode() for name, value in record.headers}
        value = _payload(record.value) if record.value is not None else None
        found.append(Read(record.offset, _payload(record.key), value, headers))
    return found


def _payload(data: bytes) -> Row:
    def refuse(word: str) -> None:
        message = f"{word} is no JSON"
        raise AssertionError(message)

    read = json.loads(data, parse_constant=refuse)
    payload: Row = read["payload"] if read.keys() == {"schema", "payload"} else read
    return payload


def replayed(found: Iterable[Read], key: Sequence[str]) -> dict[tuple[Any, ...], Row]:
    """The rows that a consumer is left with; each record must be new and in its place."""
    rows: dict[tuple[Any, ...], Row] = {}
    last = (-1, -1, -1)
    for number, record in enumerate(found):
        assert record.place > last, f"offset {record.offset}: {record.place} after {last}"
        assert record.offset == number == int(record.headers["switchback.offset"])
        last = record.place
        name = tuple(record.key[part] for part in key)
        if record.value is None:
            assert name not in rows
        elif record.value["op"] == "d":
            rows.pop(name, None)
        else:
            rows[name] = record.value["after"]
    return rows


KEYS = {
    "account": ("id",),
    "item": ("id",),
    "part": ("item", "line"),
    "receipt": ("writer", "number"),
    "bulk": ("id",),
}
"""The tables of ``traffic`` with their keys."""


def assert_published(source: Path, bootstrap: str, prefix: str) -> None:
    """Each record is there once and in its order, and they come to the rows that the source has now."""
    for table, key in KEYS.items():
        left = replayed(records(bootstrap, f"{prefix}.{table}"), key)
        there = {tuple(row[name] for name in key): row for row in _rows(source, table)}
        assert left.keys() == there.keys(), table
        wrong = [(left[name], row) for name, row in there.items() if left[name] != row]
        assert not wrong, f"{table}: {wrong[:3]}"


def _rows(path: Path, table: str) -> list[Row]:
    """A table's rows as JSON has them."""
    with closing(sqlite3.connect(path, timeout=30)) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute(f'SELECT * FROM "{table}"')]
    return [{name: _json(value) for name, value in row.items()} for row in found]


def _json(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


class Spine:
    """A stream's spine written by the test itself, and ``switchback-topics`` on it."""

    def __init__(self, bootstrap: str, stream: str, folder: Path, **settings: str) -> None:
        self.bootstrap, self.stream = bootstrap, stream
        self.log: LogBackend = open_log(f"kafka://{bootstrap}", stream)
        self.writer = Writer(self.log.spine, stream, "first")
        self.writer.claim(1, self.writer.anchor)
        self.seq = 0
        common = {"stream": stream, "log": f"kafka://{bootstrap}", "state_dir": str(folder), "topics_port": "off"}
        self.topics = Daemon("topics", {**common, **settings}, folder)

    def schema(self, schema: Schema) -> None:
        self.writer.append("schema", [wire.encode(schema)], epoch=0, first_seq=1, last_seq=0)

    def copy(self, table: str, *rows: Sequence[Any]) -> None:
        meta = {"table": table, "done": True}
        pieces = wire.encode_rows(table, rows)
        self.writer.append("snapshot", pieces, epoch=0, first_seq=self.seq + 1, last_seq=self.seq, meta=meta)

    def change(self, *changes: tuple[str, str, Sequence[Any]], epoch: int = 0) -> None:
        """One group: (table, op, row image) each."""
        first = self.seq + 1
        group = [Change(t, op, first + n, 1_000 + first + n, row) for n, (t, op, row) in enumerate(changes)]  # type: ignore[arg-type]
        self.seq += len(group)
        self.writer.append("changes", wire.encode_changes(group), epoch=epoch, first_seq=first, last_seq=self.seq)

    def barrier(self) -> None:
        self.writer.append(
            "barrier", [], epoch=0, first_seq=self.seq + 1, last_seq=self.seq, meta={"purpose": "handover"}
        )

    def break_off(self, *changes: tuple[str, str, Sequence[Any]]) -> None:
        """A group as a capture leaves it that is killed half-way, and behind it a record of somebody else."""

        def pieces() -> Iterator[bytes]:
            yield from wire.encode_changes([Change(t, op, self.seq, 0, row) for t, op, row in changes])  # type: ignore[arg-type]
            yield b"never sent"
            raise ConnectionError

        with suppress(ConnectionError):
            self.writer.append("changes", pieces(), epoch=0, first_seq=self.seq + 1, last_seq=self.seq + 1)
        self.log.spine.send(Record((), b"somebody else's"))
        self.log.spine.flush()

    def complete(self) -> None:
        """As ``switchback complete`` says it."""
        void = Channel(self.log.control).say(Completed(by=OPERATOR, at_ms=0, epoch=0))
        assert not void

    def wait_published(self) -> None:
        """Until the program has kept that it is past the last group."""
        position = self.writer.flush()
        wait_published(self.log, self.stream, position.number, self.topics)

    def close(self) -> None:
        self.topics.kill()
        self.log.close()


def wait_published(log: LogBackend, prefix: str, number: int, daemon: Daemon) -> None:
    deadline = time.monotonic() + PATIENCE
    while published(log, prefix) < number:
        assert daemon.running, daemon.output[-3000:]
        assert time.monotonic() < deadline, f"group {number} is not published:\n{daemon.output[-3000:]}"
        time.sleep(0.05)


def published(log: LogBackend, prefix: str) -> int:
    """The number of the group up to which everything is published."""
    body = log.reports().get(f"topics {prefix}")
    return int(json.loads(body).get("number", 0)) if body else 0


def last_group(log: LogBackend, stream: str) -> int:
    """The number of the last group in the spine that is whole and counts."""
    return Writer(log.spine, stream, "looker").peek(Position())[-1].number
