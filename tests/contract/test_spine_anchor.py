"""A reader and a claim begin only where the spine still holds what they build on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import SpineBroken
from shared.groups import Header, Position
from shared.log.contract import LogBackend
from shared.log.spine import Reader, Writer
from spines import (
    LogPlace,
    append,
    append_pieces,
    claimed,
    half_a_group,
    read_events,
    read_texts,
    send_header,
    writer_of,
)


@pytest.fixture
def writer(log: LogBackend, stream: str) -> Writer:
    """A writer of groups "a" to "e", flushed one by one."""
    writer = claimed(log, stream, 1)
    for text in "abcde":
        append(writer, text)
        writer.flush()
    return writer


def begin(place: LogPlace, after: Position) -> None:
    """A reader's and a writer's beginning must both fail."""
    log = place.open()
    with pytest.raises(SpineBroken) as reading:
        Reader(log.spine, place.stream, after)
    with pytest.raises(SpineBroken) as writing:
        writer_of(log, place.stream).claim(50, after)
    assert str(reading.value) == str(writing.value)
    assert reading.value.remedy


def test_a_recreated_log_is_not_the_same_log(place: LogPlace, writer: Writer) -> None:
    place.recreate()

    begin(place, writer.anchor)


def test_a_recreated_log_that_has_grown_as_long_is_not_the_same_log(place: LogPlace, writer: Writer) -> None:
    place.recreate()
    log = place.open()
    another = claimed(log, place.stream, 9)
    for text in "vwxyz":
        append(another, text)
    another.flush()

    begin(place, writer.anchor)


def test_a_log_that_ends_before_the_position_was_truncated(place: LogPlace, writer: Writer) -> None:
    begin(place, replace(writer.anchor, number=9, offset=writer.anchor.offset + 4))


def test_a_log_that_begins_behind_the_position_lost_groups(place: LogPlace, writer: Writer) -> None:
    place.expire(4)

    begin(place, Position(1, 2, 2))


def test_a_log_whose_first_groups_are_gone_cannot_be_read_from_the_beginning(place: LogPlace, writer: Writer) -> None:
    place.expire(1)

    begin(place, Position())


def test_a_log_that_begins_right_behind_the_position_will_do(place: LogPlace, writer: Writer) -> None:
    place.expire(4)
    log = place.open()

    assert read_texts(log, place.stream, Position(1, 3, 3)) == [["d"], ["e"]]
    assert len(writer_of(log, place.stream).claim(2, Position(1, 3, 3))) == 2


@pytest.mark.parametrize("after", [Position(2, 3, 3), Position(1, 4, 3), Position(1, 3, 4), Position(1, 1, 0)])
def test_another_group_at_that_offset_is_another_history(place: LogPlace, writer: Writer, after: Position) -> None:
    begin(place, after)


def test_a_frame_in_the_middle_of_a_group_is_no_position(place: LogPlace, log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append_pieces(writer, [b"x", b"y"])
    writer.flush()

    begin(place, Position(1, 1, 1))


def test_a_record_of_somebody_else_is_no_position(place: LogPlace, log: LogBackend, stream: str) -> None:
    send_header(log, Header("other", "i", "w", 1, 1, "changes"))

    begin(place, Position(1, 1, 0))


def test_retention_that_passes_a_reader_is_noticed(place: LogPlace, log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    writer.flush()
    reader = Reader(place.open().spine, stream, Position())
    assert len(reader.read(5)) == 1
    for _ in range(12):
        append_pieces(writer, [b"x" * 800_000])
    writer.flush()
    place.expire(13)

    with pytest.raises(SpineBroken):
        read_events(reader)


def test_a_log_that_is_recreated_while_it_is_read_is_noticed(place: LogPlace, log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    for text in "abc":
        append(writer, text)
    position = writer.flush()

    place.recreate()

    with pytest.raises(SpineBroken):
        Reader(place.open().spine, stream, position)


def test_a_position_knows_whose_the_lease_is(place: LogPlace, log: LogBackend, stream: str) -> None:
    """A reader that begins behind a group must reject what a reader of the whole spine rejects."""
    writer = claimed(log, stream, 1)
    append(writer, "a")
    position = writer.flush()
    send_header(log, Header(stream, "i", "impostor", 1, 2, "changes"))
    append(writer, "b")
    writer.flush()

    assert read_texts(place.open(), stream) == [["a"], ["b"]]
    assert read_texts(place.open(), stream, position) == [["b"]]


def test_a_claim_sees_half_a_group_behind_its_anchor(place: LogPlace, log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    anchor = writer.flush()
    half_a_group(log, writer)

    heir = writer_of(place.open(), stream)

    assert heir.claim(2, anchor) == []
    assert append(heir, "b").name == (2, 2)
