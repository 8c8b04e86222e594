"""Only whole groups are published."""

from __future__ import annotations

from shared.groups import Abandoned, Event, Frame, Header, Position
from sink.topics.gathering import Gathering


def _frame(number: int, frame: int, piece: bytes, *, last: bool) -> Event:
    header = Header("s", "i", "w", 1, number, "changes", frame=frame, last=last)
    return Frame(header, Position(1, number, frame), piece)


def _taken(*events: Event) -> list[tuple[int, list[bytes]]]:
    gathering = Gathering()
    return [(group.header.number, list(group.pieces)) for event in events for group in gathering.take([event])]


def test_the_pieces_of_a_group_come_together_in_their_order() -> None:
    found = _taken(
        _frame(1, 0, b"alone", last=True),
        _frame(2, 0, b"one", last=False),
        _frame(2, 1, b"two", last=False),
        _frame(2, 2, b"three", last=True),
        _frame(3, 0, b"", last=True),
    )

    assert found == [(1, [b"alone"]), (2, [b"one", b"two", b"three"]), (3, [])]


def test_of_a_group_that_was_abandoned_nothing_is_left() -> None:
    found = _taken(_frame(1, 0, b"void", last=False), Abandoned(1, 1), _frame(1, 0, b"other", last=True))

    assert found == [(1, [b"other"])]
