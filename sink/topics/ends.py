"""Where each table topic stands: its last record, which is this sink's ledger.

Every record says its history, its place in it, and at which offset it was meant to land.  This program is the topics'
only writer, so an offset other than that one tells of a record that was lost or sent by somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from kafka import TopicPartition

from shared.errors import Retry, Stop
from shared.groups import Header
from shared.log.kafka.clients import PATIENCE_SECONDS, Settings, make_consumer
from shared.log.kafka.errors import translated
from sink.topics.projection import Outgoing, Place

HISTORY, LEASE, GROUP, INDEX, OFFSET = (
    f"switchback.{word}" for word in ("history", "lease", "group", "index", "offset")
)
_ANEW = "Set topics_prefix to a new name, and the history is published again from what the log still holds"


class End(NamedTuple):
    """The offset that the next record will get, and the last record's history and place, where one is kept."""

    offset: int = 0
    history: str = ""
    place: Place = Place()


Ends = dict[str, End]


def headers_of(record: Outgoing, header: Header, history: str, offset: int) -> list[tuple[str, bytes]]:
    """The headers of a record that is meant for that offset.

    ``history`` is the incarnation of the SQLite file, with which the history began; PostgreSQL has one of its own.
    """
    place = record.place
    return [
        (HISTORY, history.encode()),
        (LEASE, b"%d" % header.lease),
        (GROUP, b"%d" % place.number),
        (INDEX, b"%d.%d" % (place.change, place.part)),
        (OFFSET, b"%d" % offset),
        *record.headers,
    ]


def read_ends(client: Settings, topics: Iterable[str]) -> Ends:
    """Each topic's end; Stop for a topic whose last record is not this program's, or not where it was meant to be."""
    places = [TopicPartition(topic, 0) for topic in topics]
    if not places:
        return {}
    with translated("the table topics"), closing(_Closing(make_consumer(client))) as open_:
        consumer = open_.consumer
        consumer.assign(places)
        patience = PATIENCE_SECONDS * 1000
        first = consumer.beginning_offsets(places, timeout_ms=patience)
        behind = consumer.end_offsets(places, timeout_ms=patience)
        filled = [place for place in places if behind[place] > first[place]]
        last = _last_records(consumer, filled, behind) if filled else {}
    return {p.topic: End(int(behind[p]), *(_place(p.topic, last[p]) if p in last else ())) for p in places}


class _Closing(NamedTuple):
    consumer: Any

    def close(self) -> None:
        self.consumer.close(autocommit=False, timeout_ms=2_000)


def _last_records(consumer: Any, places: Sequence[Any], behind: Mapping[Any, int]) -> dict[Any, Any]:  # noqa: ANN401
    consumer.assign(places)
    for place in places:
        consumer.seek(place, behind[place] - 1)
    found: dict[Any, Any] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < len(places):
        if time.monotonic() > deadline:
            raise Retry("the broker does not give the last records of the table topics")
        for place, records in consumer.poll(timeout_ms=500).items():
            found[place] = records[-1]
    return found


def _place(topic: str, record: Any) -> tuple[str, Place]:  # noqa: ANN401  (the client has no types)
    given = dict(record.headers)
    try:
        index, part = given[INDEX].split(b".")
        place = Place(int(given[GROUP]), int(index), int(part))
        history, meant = given[HISTORY].decode(), int(given[OFFSET])
    except (KeyError, ValueError, AttributeError):
        what = "the last record was not written by this program"
        raise Stop(what, where=f"topic {topic}, offset {record.offset}", remedy=_ANEW) from None
    if meant != record.offset:
        what = f"the last record was meant for offset {meant}: records before it are missing, or were sent twice"
        raise Stop(what, where=f"topic {topic}, offset {record.offset}", remedy=_ANEW)
    return history, place


def check_ends(ends: Ends, known: Mapping[str, int]) -> None:
    """Stop where a topic ends before the offset that it is known to have had."""
    for topic, offset in known.items():
        if topic in ends and ends[topic].offset < offset:
            what = f"the topic ends at offset {ends[topic].offset - 1}, and had records up to {offset - 1}"
            raise Stop(what, where=f"topic {topic}", remedy=f"It was deleted or truncated. {_ANEW}")


def check_history(ends: Ends, incarnation: str) -> None:
    """Stop where a topic holds the history of another source."""
    for topic, end in ends.items():
        if end.history not in ("", incarnation):
            raise Stop("the topic holds the history of another source", where=f"topic {topic}", remedy=_ANEW)
