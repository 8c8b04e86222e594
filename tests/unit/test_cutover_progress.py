"""The steps of a switch as the operator sees them, line by line."""

from __future__ import annotations

import pytest

from operations.cutover.view import Progress
from shared.control.fold import Attempt, State
from shared.control.records import Asked

_ASKED = Asked(by="operator", at_ms=0, attempt="a", epoch=1, max_pause_ms=5000, rehearsal=False, who="me")


def _lines(capsys: pytest.CaptureFixture[str], *steps: dict[str, int]) -> list[str]:
    progress, times = Progress(), dict[str, int]()
    for more in steps:
        times |= more
        progress.update(State(attempt=Attempt(_ASKED, times=dict(times))))
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_what_was_compared_is_told_behind_what_was_drained(capsys: pytest.CaptureFixture[str]) -> None:
    steps = ({"Asked": 0, "Held": 43, "Verified": 81}, {"Drained": 75, "Prepared": 82})
    assert _lines(capsys, *steps) == ["0", "43", "75", "81", "82"]


def test_where_it_was_given_up_before_that_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    steps = ({"Asked": 0, "Held": 43, "Verified": 81}, {"Aborted": 90})
    assert _lines(capsys, *steps) == ["0", "43", "81", "90"]
