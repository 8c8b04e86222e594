"""Several writers on one spine: at any time one counts, whatever the others do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared import wire
from shared.errors import LeaseLost, Stop
from shared.groups import Abandoned, Change, Position
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from spines import (
    append,
    append_pieces,
    claimed,
    copy_records,
    half_a_group,
    read_events,
    read_texts,
    writer_of,
)


def test_groups_come_in_the_order_in_which_they_were_appended(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    for text in "abc":
        append(writer, text, text * 2)
    writer.flush()

    assert read_texts(other, stream) == [["a", "aa"], ["b", "bb"], ["c", "cc"]]


def test_a_group_is_known_by_lease_and_number(log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 7)

    names = [append(writer, "a").name, append(writer, "b").name]
    position = writer.flush()

    assert names == [(7, 1), (7, 2)]
    assert position.name == (7, 2)
    assert position.offset == log.spine.bounds()[1] - 1


def test_nothing_may_be_appended_without_a_claim(log: LogBackend, stream: str) -> None:
    with pytest.raises(Stop):
        append(writer_of(log, stream), "a")
    assert log.spine.bounds() == (0, 0)


def test_a_claim_tells_which_groups_count_behind_a_position(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    first = writer.flush()
    append(writer, "b")
    append(writer, "c")
    last = writer.flush()

    next_writer = writer_of(other, stream)
    headers = next_writer.claim(2, first)

    assert [(header.lease, header.number) for header in headers] == [(1, 2), (1, 3)]
    assert next_writer.anchor == last
    assert append(next_writer, "d").name == (2, 4)


def test_a_claim_from_the_very_beginning_finds_all(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    writer.flush()

    assert len(writer_of(other, stream).claim(2, Position())) == 1


def test_the_first_claim_of_a_lease_wins(log: LogBackend, other: LogBackend, stream: str) -> None:
    winner = claimed(log, stream, 1)

    with pytest.raises(LeaseLost, match="lease 1"):
        claimed(other, stream, 1)

    append(winner, "a")
    winner.flush()
    assert read_texts(other, stream) == [["a"]]


def test_a_lower_lease_is_lost(log: LogBackend, other: LogBackend, stream: str) -> None:
    claimed(log, stream, 5)

    with pytest.raises(LeaseLost, match="lease 5"):
        claimed(other, stream, 4)


def test_a_writer_whose_claim_failed_may_not_append(log: LogBackend, other: LogBackend, stream: str) -> None:
    claimed(log, stream, 1)
    loser = writer_of(other, stream)
    with pytest.raises(LeaseLost):
        loser.claim(1, Position())

    with pytest.raises(Stop):
        append(loser, "a")


def test_a_zombie_that_wakes_up_is_acknowledged_and_void(log: LogBackend, other: LogBackend, stream: str) -> None:
    zombie = claimed(log, stream, 1)
    append(zombie, "a")
    zombie.flush()

    heir = claimed(other, stream, 2)
    append(zombie, "void")
    zombie.flush()
    append(heir, "b")
    heir.flush()
    append(zombie, "void", "again")
    zombie.flush()

    assert read_texts(log, stream) == [["a"], ["b"]]


def test_a_zombies_unsent_records_may_come_after_the_heirs(log: LogBackend, other: LogBackend, stream: str) -> None:
    zombie = claimed(log, stream, 1)
    append(zombie, "a")
    heir = claimed(other, stream, 2)
    append(heir, "b")
    heir.flush()
    zombie.flush()
    append(heir, "c")
    heir.flush()

    found = read_texts(log, stream)

    assert found in ([["a"], ["b"], ["c"]], [["b"], ["c"]])  # whether "a" was faster than the claim is open


def test_half_a_group_comes_to_nothing_and_its_number_is_given_again(
    log: LogBackend, other: LogBackend, stream: str
) -> None:
    dead = claimed(log, stream, 1)
    append(dead, "a")
    half_a_group(log, dead)

    heir = writer_of(other, stream)
    counting = heir.claim(2, Position())
    position = append(heir, "b")
    heir.flush()

    assert [header.number for header in counting] == [1]
    assert position.name == (2, 2)
    events = read_events(Reader(log.spine, stream, Position()))
    assert Abandoned(1, 2) in events
    assert read_texts(log, stream) == [["a"], ["b"]]


def test_a_reader_may_be_in_the_middle_of_a_group_when_its_writer_dies(
    log: LogBackend, other: LogBackend, stream: str
) -> None:
    reader = Reader(other.spine, stream, Position())
    dead = claimed(log, stream, 1)
    half_a_group(log, dead)
    before = read_events(reader)
    heir = claimed(log, stream, 2)
    append(heir, "b")
    heir.flush()

    after = read_events(reader)

    assert [event.header.last for event in before if not isinstance(event, Abandoned)] == [False]
    assert after[0] == Abandoned(1, 1)
    assert len(after) == 2


def test_a_writer_is_done_after_a_failed_append(log: LogBackend, stream: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise InterruptedError

    writer = claimed(log, stream, 1)
    with pytest.raises(InterruptedError):
        append_pieces(writer, pieces())

    with pytest.raises(Stop):
        append(writer, "a")
    with pytest.raises(Stop):
        writer.flush()


def test_the_same_store_serves_the_claim_after_a_failed_append(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    half_a_group(log, writer)
    writer.claim(2, Position())
    append(writer, "b")
    writer.flush()

    assert read_texts(other, stream) == [["a"], ["b"]]


def test_records_that_came_twice_count_once(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    append_pieces(writer, [wire.encode([Change("t", "c", n, 1, [n, str(n)])]) for n in (1, 2, 3)])
    last = writer.flush().offset

    copy_records(log, 0, last)
    copy_records(log, 2, 3)
    append(writer, "b")
    writer.flush()

    assert read_texts(other, stream) == [["a"], ["1", "2", "3"], ["b"]]


def test_two_writers_at_once_leave_one_history(log: LogBackend, other: LogBackend, stream: str) -> None:
    """Both claim over and over and append as fast as they can; what the readers see is what the claims say."""
    trouble: list[BaseException] = []

    def work(mine: LogBackend, leases: range, name: str) -> None:
        writer = writer_of(mine, stream)
        try:
            for lease in leases:
                try:
                    writer.claim(lease, Position())
                except LeaseLost:
                    continue
                for number in range(6):
                    append(writer, f"{name}{lease}.{number}")
                    if number % 2:
                        writer.flush()
        except BaseException as error:  # noqa: BLE001  (told to the test below)
            trouble.append(error)

    threads = [
        threading.Thread(target=work, args=(mine, range(start, 60, 2), name))
        for mine, start, name in ((log, 1, "a"), (other, 2, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.spine.flush()
    other.spine.flush()

    assert trouble == []
    texts = [text for group in read_texts(log, stream) for text in group]
    seen = claimed(other, stream, 100).position.number
    assert len(texts) == seen
    leases = [int(text[1:].split(".")[0]) for text in texts]
    assert leases == sorted(leases)
    for lease in set(leases):
        numbers = [int(text.split(".")[1]) for text, of in zip(texts, leases, strict=True) if of == lease]
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("gone", [0, 1])
def test_the_anchor_is_where_the_next_claim_may_read_from(log: LogBackend, stream: str, gone: int) -> None:
    writer = claimed(log, stream, 1)
    assert writer.anchor == Position()
    append(writer, "a")
    assert writer.anchor == Position()
    anchor = writer.flush()
    assert writer.anchor == anchor

    again = writer_of(log, stream)
    assert again.claim(2 + gone, anchor) == []
    assert again.anchor == anchor
