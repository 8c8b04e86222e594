"""Whatever else stands in the spine: readers step over it, each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.groups import Frame, Header, Position
from shared.log.contract import LogBackend, Record
from shared.log.headers import to_headers
from shared.log.listing import list_groups
from shared.log.spine import Reader
from spines import append, append_pieces, claimed, read_events, read_texts, send_header

GOOD = Header("s", "i", "w", 1, 1, "changes")


def with_header(name: str, value: bytes) -> list[tuple[str, bytes]]:
    return [(given, value if given == name else old) for given, old in to_headers(GOOD)]


GARBAGE: dict[str, list[tuple[str, bytes]]] = {
    "no headers": [],
    "somebody else's headers": [("traceparent", b"00-00"), ("v", b"1")],
    "a newer version": with_header("v", b"2"),
    "no version": to_headers(GOOD)[1:],
    "an unknown kind": with_header("kind", b"wish"),
    "no number": with_header("group", b"one"),
    "an empty number": with_header("lease", b""),
    "a huge number": with_header("group", b"9" * 6000),
    "bytes that are no text": with_header("stream", b"\xff\xfe"),
    "meta that is no JSON": with_header("meta", b"{"),
    "meta that is no object": with_header("meta", b"[1]"),
    "a last frame that goes on": [*with_header("more", b"1")],
    "a header missing": [pair for pair in to_headers(GOOD) if pair[0] != "epoch"],
}


@pytest.mark.parametrize("headers", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_void(log: LogBackend, other: LogBackend, stream: str, headers: list[tuple[str, bytes]]) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    writer.flush()
    log.spine.send(Record(headers, b"\xc1garbage"))
    log.spine.flush()
    append(writer, "b")
    writer.flush()

    assert read_texts(other, stream) == [["a"], ["b"]]
    assert len(claimed(other, stream, 2).anchor.name) == 2
    assert [line.offset for line in list_groups(other.spine, stream) if line.void] == [2]


@pytest.mark.parametrize(
    "foreign",
    [
        replace(GOOD, stream="other", kind="claim", lease=99),
        replace(GOOD, stream="other", number=2, lease=1),
        replace(GOOD, stream="", number=2),
        replace(GOOD, lease=99, number=2),
        replace(GOOD, lease=-1, number=2),
        replace(GOOD, kind="claim", lease=0),
        replace(GOOD, kind="claim", lease=1),
        replace(GOOD, lease=1, number=2, writer="impostor"),
        replace(GOOD, lease=1, number=3),
        replace(GOOD, lease=1, number=0),
        replace(GOOD, lease=1, number=2, frame=1),
        replace(GOOD, lease=1, number=2, frame=-1),
    ],
    ids=lambda header: f"{header.stream or 'nobody'}-{header.kind}-{header.lease}-{header.number}-{header.frame}",
)
def test_records_that_must_not_count_do_not(log: LogBackend, other: LogBackend, stream: str, foreign: Header) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    writer.flush()
    send_header(log, replace(foreign, stream=stream) if foreign.stream == "s" else foreign, b"\xc1")
    append(writer, "b")
    writer.flush()

    assert read_texts(other, stream) == [["a"], ["b"]]


def test_garbage_between_the_frames_of_a_group_does_not_tear_it(
    log: LogBackend, other: LogBackend, stream: str
) -> None:
    made = [b"x" * 2_000_000, b"y" * 2_000_000]

    def pieces() -> Iterator[bytes]:
        for piece in made:
            yield piece
            log.spine.flush()
            other.spine.send(Record([], b"z"))
            other.spine.flush()

    writer = claimed(log, stream, 1)
    append_pieces(writer, pieces())
    writer.flush()

    events = read_events(Reader(other.spine, stream, Position()))
    assert [event.piece for event in events if isinstance(event, Frame)] == made
    assert len([line for line in list_groups(other.spine, stream) if line.void]) == 2
