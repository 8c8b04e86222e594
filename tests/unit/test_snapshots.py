"""Sets of transactions: what is published."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.postgres.snapshots import Snapshot

_NUMBERS = st.integers(3, 60)
_OPEN = st.sets(_NUMBERS, max_size=6)


@st.composite
def _snapshots(draw: st.DrawFn) -> Snapshot:
    end = draw(_NUMBERS)
    return Snapshot(end, tuple(sorted(number for number in draw(_OPEN) if number < end)))


def _holds(snapshot: Snapshot, number: int) -> bool:
    return number < snapshot.end and number not in snapshot.open


def test_the_written_form_is_postgresqls() -> None:
    assert str(Snapshot(20, (12, 15))) == "12:20:12,15"
    assert str(Snapshot(20)) == "20:20:"
    assert Snapshot.parse("12:20:12,15") == Snapshot(20, (12, 15))


def test_a_horizon_alone_stands_for_all_below_it() -> None:
    assert Snapshot.of("", "751") == Snapshot(751)
    assert Snapshot.of("", "") == Snapshot(1)
    assert Snapshot.of("12:20:12", "12") == Snapshot(20, (12,))


@given(_snapshots())
def test_it_comes_back_as_it_was_written(one: Snapshot) -> None:
    assert Snapshot.parse(str(one)) == one


@given(_snapshots(), _NUMBERS)
def test_below_the_horizon_everything_is_in_it(one: Snapshot, number: int) -> None:
    assert _holds(one, number) or number >= one.horizon


@given(_snapshots(), _snapshots(), _NUMBERS, _NUMBERS)
def test_grown_it_has_what_was_seen_up_to_the_last_and_nothing_behind_it(
    published: Snapshot, seen: Snapshot, last: int, number: int
) -> None:
    grown = published.grown(seen, last)
    if number < max(published.end, last + 1):
        assert _holds(grown, number) == (number not in seen.open)
    else:
        assert not _holds(grown, number)
