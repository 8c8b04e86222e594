"""The demo on a busy machine: it says how far behind the replica is, and writes less where that grows."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from operations.demo.patience import Patience, read_share
from operations.phase import LedgerStatus, LogStatus, SourceStatus, Status

_STATUS = Status("demo", SourceStatus(), LogStatus(), LedgerStatus(), [], [], lag_seconds=4.0, summary="copying")


def _lag(changes: int | None) -> Status:
    return replace(_STATUS, lag_changes=changes)


def test_it_says_something_every_ten_seconds_and_leaves_a_lag_that_shrinks_alone(tmp_path: Path) -> None:
    patience = Patience(tmp_path, 150)
    assert patience.look(1, _lag(9_000)) == ""
    assert patience.look(10, _lag(9_000)) == "   10.0 s: 9,000 changes, 4.0 s behind"
    assert patience.look(15, _lag(8_000)) == ""
    assert patience.look(20, _lag(5_000)) == "   20.0 s: 5,000 changes, 4.0 s behind"
    assert read_share(tmp_path) == 1


def test_a_lag_that_grows_halves_the_rate_again_and_again_and_says_so(tmp_path: Path) -> None:
    patience = Patience(tmp_path, 150)
    patience.look(10, _lag(1_000))
    assert "it grows, so the application writes 75 transactions a second" in patience.look(20, _lag(2_000))
    assert read_share(tmp_path) == 1 / 2
    assert "grows" not in patience.look(30, _lag(3_000))
    assert "writes 38 transactions" in patience.look(40, _lag(4_000))
    said = [patience.look(10 * turn, _lag(1_000 * turn)) for turn in range(5, 13)]
    assert read_share(tmp_path) == 1 / 8
    assert said[-1].endswith("; it grows")


def test_a_lag_of_a_moment_and_one_that_is_not_known_change_nothing(tmp_path: Path) -> None:
    patience = Patience(tmp_path, 150)
    patience.look(10, _lag(3))
    assert "grows" not in patience.look(20, _lag(50))
    assert patience.look(30, _lag(None)) == "   30.0 s: copying"
    assert read_share(tmp_path) == 1
