"""The line of ``switchback run``: who is primary once that has changed, and no figure of the other direction."""

from __future__ import annotations

from msgspec.structs import replace

from operations.cutover.summary import SwitchStatus
from operations.phase import LedgerStatus, LogStatus, SourceStatus, Status
from operations.run_display import Rates, one_line

_SOURCE = SourceStatus("app.db", installed=True, incarnation="i", seq=10)
_LEDGER = LedgerStatus(exists=True, incarnation="i", lease=1, number=5, seq=10, copied=True)
_STATUS = Status(
    "app", _SOURCE, LogStatus(), _LEDGER, [], [], lag_changes=0, lag_seconds=0.0, phase="in step", summary="all is well"
)
_AWAY = replace(_STATUS, switch=SwitchStatus(epoch=1, primary="postgres"))


def test_before_any_change_of_primary_the_group_is_shown() -> None:
    assert one_line(_STATUS, 0, 3) == "app: in step | lag 0 changes, 0 ms | 3 changes/s | change 10, group 5"


def test_with_postgresql_as_primary_it_is_named_and_the_group_that_stands_still_is_not() -> None:
    assert one_line(_AWAY, 0, 3) == (
        "app: in step | PostgreSQL is the primary | lag 0 changes, 0 ms | 3 changes/s | change 10"
    )


def test_back_again_sqlite_is_named() -> None:
    back = replace(_STATUS, switch=SwitchStatus(epoch=2, primary="sqlite"))
    assert "SQLite is the primary" in one_line(back, 0, 3)
    assert "group 5" in one_line(back, 0, 3)


def test_both_sides_closed_is_explained_and_not_hidden_behind_a_lag() -> None:
    closed = replace(_AWAY, phase="closed", summary="neither side takes writes; start the sink")
    assert one_line(closed, 0, 3) == (
        "app: closed | PostgreSQL is the primary | neither side takes writes; start the sink"
    )


def test_the_rate_begins_anew_with_each_primary() -> None:
    rates = Rates()
    rates.add(_STATUS)
    assert rates.add(replace(_AWAY, ledger=replace(_LEDGER, seq=1_000_000)))[1] == 0
