"""What is tried again: a server that is away always, a password only where it was right once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import BadInput, Refused, Retry
from shared.logs import get_logger
from shared.metrics import ProgramMetrics
from shared.pulse import Pulse
from shared.retrying import Retrying


@pytest.fixture
def retrying(monkeypatch: pytest.MonkeyPatch) -> Retrying:
    monkeypatch.setattr("shared.retrying._FIRST_SECONDS", 0.0)
    return Retrying(threading.Event(), get_logger("test"), ProgramMetrics(CollectorRegistry(), "test", "s"), Pulse())


def _work(retrying: Retrying, *endings: Exception | None, worked: bool) -> Callable[[], None]:
    """Each call ends with the next ending; None is well."""
    left = list(endings)

    def work() -> None:
        if worked:
            retrying.well()
        ending = left.pop(0)
        if ending:
            raise ending

    return work


def test_a_server_that_is_away_is_waited_for(retrying: Retrying) -> None:
    retrying.run(_work(retrying, Retry("away"), Retry("away"), None, worked=False))


def test_a_password_that_was_right_once_is_tried_again(retrying: Retrying) -> None:
    retrying.run(_work(retrying, Refused("no"), Refused("no"), None, worked=True))


def test_a_password_that_never_was_right_ends_the_program(retrying: Retrying) -> None:
    with pytest.raises(Refused):
        retrying.run(_work(retrying, Refused("no"), None, worked=False))


def test_other_mistakes_of_the_operator_are_never_tried_again(retrying: Retrying) -> None:
    with pytest.raises(BadInput):
        retrying.run(_work(retrying, BadInput("no"), None, worked=True))
