"""Numbers as people read them."""

from __future__ import annotations

import pytest

from operations.wording import count, duration, offsets, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0042, "4 ms"), (3.21, "3.2 s"), (300, "5 min"), (8_280, "2.3 h"), (345_600, "4.0 days")],
)
def test_a_duration_takes_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(812, "812 B"), (3_400, "3.4 kB"), (5_000_000, "5.0 MB"), (2.5e12, "2.5 TB")]
)
def test_a_size_takes_the_unit_that_fits(number: float, text: str) -> None:
    assert size(number) == text


def test_thousands_stand_apart() -> None:
    assert count(1_234_567) == "1,234,567"


def test_an_empty_log_has_no_offsets() -> None:
    assert offsets(0, 0) == "empty"
    assert offsets(3, 10) == "offsets 3 to 9"
