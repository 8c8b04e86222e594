"""Orders to die or to stand still at a named step: what is misspelt is refused, or a test would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared import steps
from shared.errors import BadInput


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    steps.arm(None)


@pytest.mark.parametrize("order", ["askd", "asked:once", "asked:1:HALT", "asked:STOP", "asked:1:STOP:1", ":1:STOP"])
def test_an_order_that_is_misspelt_is_refused(order: str) -> None:
    with pytest.raises(BadInput, match="SWITCHBACK_KILL_AT names no step"):
        steps.arm(order)


@pytest.mark.parametrize("order", ["asked", "asked:", "asked:3", "asked:3:STOP", "asked::STOP"])
def test_an_order_that_is_none_of_this_step_does_nothing_here(order: str) -> None:
    steps.arm(order)
    steps.reached("held")
