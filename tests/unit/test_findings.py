"""A finding as the daemons' logs say it."""

from __future__ import annotations

from shared.findings import Finding


def test_what_a_finding_does_not_say_is_left_out_of_the_log() -> None:
    assert Finding("warn", "widened", "it was").details == {"code": "widened"}
    assert Finding("warn", "widened", "it was", "table a", "Look").details == {
        "code": "widened",
        "where": "table a",
        "remedy": "Look",
    }
