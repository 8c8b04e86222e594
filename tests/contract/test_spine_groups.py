"""Groups of every size: whole, in order, and without large memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared import wire
from shared.groups import Abandoned, Change, Frame, Position
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from shared.wire import FRAME_BYTES
from spines import LogPlace, append, append_pieces, claimed, read_events, read_texts, texts_of


def frames_of(events: list[Frame | Abandoned]) -> list[Frame]:
    frames = [event for event in events if isinstance(event, Frame)]
    assert len(frames) == len(events)
    return frames


def test_an_empty_group_is_a_group(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append_pieces(writer, [], "barrier")
    writer.flush()

    (frame,) = frames_of(read_events(Reader(other.spine, stream, Position())))

    assert (frame.header.kind, frame.header.last, frame.piece) == ("barrier", True, b"")


def test_what_a_header_says_comes_back(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 3)
    meta = {"table": 'lead "s\n é', "after": "0a", "done": False, "rows": 5}
    writer.append("snapshot", [b"x"], epoch=2, first_seq=7, last_seq=9, meta=meta)
    position = writer.flush()

    (frame,) = frames_of(read_events(Reader(other.spine, stream, Position())))

    header = frame.header
    assert (header.stream, header.incarnation, header.lease, header.number) == (stream, "i", 3, 1)
    assert (header.epoch, header.first_seq, header.last_seq, header.meta) == (2, 7, 9, meta)
    assert frame.position == position


@pytest.mark.parametrize("sizes", [[0], [1, 1], [FRAME_BYTES], [FRAME_BYTES + 1], [10, 3 * FRAME_BYTES, 10], [0, 0, 0]])
def test_pieces_come_back_whole_whatever_their_size(
    log: LogBackend, other: LogBackend, stream: str, sizes: list[int]
) -> None:
    pieces = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    writer = claimed(log, stream, 1)
    append_pieces(writer, pieces)
    append(writer, "next")
    writer.flush()

    frames = frames_of(read_events(Reader(other.spine, stream, Position())))

    assert [frame.piece for frame in frames[: len(sizes)]] == pieces
    assert [frame.header.last for frame in frames] == [False] * (len(sizes) - 1) + [True, True]
    assert len(frames) == len(sizes) + 1


def test_a_row_of_fifty_megabytes_passes(log: LogBackend, other: LogBackend, stream: str) -> None:
    blob = bytes(range(256)) * 200_000
    writer = claimed(log, stream, 1)
    append_pieces(writer, wire.encode_changes([Change("t", "c", 1, 1, [1, blob])]))
    append(writer, "next")
    writer.flush()

    frames = frames_of(read_events(Reader(other.spine, stream, Position())))

    assert wire.decode_changes(frames[0].piece)[0].values[1] == blob
    assert texts_of(frames[1:]) == [["next"]]


def test_a_long_cursor_makes_smaller_frames(log: LogBackend, other: LogBackend, stream: str) -> None:
    piece = b"x" * (3 * FRAME_BYTES)
    writer = claimed(log, stream, 1)
    writer.append("snapshot", [piece], epoch=0, first_seq=1, last_seq=0, meta={"after": "ab" * 150_000})
    writer.flush()

    (frame,) = frames_of(read_events(Reader(other.spine, stream, Position())))

    assert frame.piece == piece


def test_reading_begins_behind_any_group(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    positions = []
    for number in range(5):
        append(writer, f"{number}")
        append_pieces(writer, [wire.encode([Change("t", "c", n, 1, [n, f"{number}.{n}"])]) for n in (1, 2)])
        positions.append(writer.flush())
    everything = read_texts(other, stream)

    for number, position in enumerate(positions):
        assert read_texts(other, stream, position) == everything[2 * number + 2 :]


MILLION = """
import resource, sys
from shared import wire
from shared.groups import Change, Position
from shared.log.opening import open_log
from shared.log.spine import Reader, Writer

role, url, stream = sys.argv[1:]
log = open_log(url, stream)
if role == "write":
    writer = Writer(log.spine, stream, "i")
    writer.claim(1, Position())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changes = (Change("lead", "u", n, n, [n, "x" * 80, 1.5, None, b"12345678"]) for n in range(1, 1_000_001))
    writer.append("changes", wire.encode_changes(changes), epoch=0, first_seq=1, last_seq=1_000_000)
    writer.flush()
else:
    reader = Reader(log.spine, stream, Position())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen, last = 0, False
    while not last:
        for frame in reader.read(5):
            changes = wire.decode_changes(frame.piece)
            assert (changes[0].seq, changes[-1].seq) == (seen + 1, seen + len(changes))
            seen, last = changes[-1].seq, frame.header.last
    assert seen == 1_000_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_a_group_of_a_million_changes_needs_little_memory(place: LogPlace, stream: str) -> None:
    used = {}
    for role in ("write", "read"):
        command = [sys.executable, "-W", "ignore", "-c", MILLION, role, place.url, stream]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        used[role] = int(done.stdout)

    assert used["write"] < 60
    assert used["read"] < 60


def test_groups_are_streamed_while_they_are_made(log: LogBackend, other: LogBackend, stream: str) -> None:
    """The first frames can be read before the last ones exist."""
    reader = Reader(other.spine, stream, Position())
    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * FRAME_BYTES
        seen.append(len(read_events(reader)))
        yield b"end"

    writer = claimed(log, stream, 1)
    append_pieces(writer, pieces())
    writer.flush()

    assert seen[0] > 0
    assert seen[0] + len(read_events(reader)) == 31
