"""``/primary`` says who takes the writes, and nothing that is secret."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

from attempts import after
from shared.control.fold import State
from shared.control.records import (
    Aborted,
    Asked,
    Completed,
    Drained,
    Fenced,
    Held,
    LetGo,
    Opened,
    Opening,
    Prepared,
    Record,
    Verified,
)
from shared.primary_page import PATH, PrimaryPage
from shared.serving import start_server

Ask = Callable[..., tuple[int, dict[str, Any]]]
ASKED = Asked(by="o", at_ms=1, attempt="a", epoch=1, max_pause_ms=5000, who="joe@host")
HELD = Held(by="c", at_ms=2, attempt="a", lease=1, number=1, offset=1)
ENTRY: dict[str, Any] = {"by": "x", "at_ms": 1_769_850_764_103, "attempt": "a"}
TO_FENCE: list[Record] = [ASKED, HELD, Drained(**ENTRY), Verified(**ENTRY), Prepared(**ENTRY), Fenced(**ENTRY)]
TO_OPEN: list[Record] = [*TO_FENCE, Opening(**ENTRY), Opened(**ENTRY)]


@pytest.fixture
def page() -> PrimaryPage:
    return PrimaryPage("app")


@pytest.fixture
def port(page: PrimaryPage) -> int:
    registry = CollectorRegistry()
    Gauge("of_test", "x", registry=registry).set(1)
    return start_server("127.0.0.1", 0, registry, {PATH: page.answer})


@pytest.fixture
def ask(port: int) -> Ask:
    def asking(path: str = "/primary", **options: Any) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", **options)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    return asking


def test_before_the_daemon_has_looked_it_does_not_guess(ask: Ask) -> None:
    assert ask() == (503, {"stream": "app", "phase": "unknown"})


@pytest.mark.parametrize("path", ["/primary", "/primary/", "/primary?x=1"])
def test_it_says_who_is_primary(page: PrimaryPage, ask: Ask, path: str) -> None:
    page.update(State())
    known = {"stream": "app", "epoch": 0, "primary": "sqlite", "since": None, "phase": "normal", "attempt": None}
    assert ask(path) == (200, known)


def test_after_a_flip_it_says_since_when(page: PrimaryPage, ask: Ask) -> None:
    page.update(State())
    page.update(after(*TO_OPEN))
    _, found = ask()
    assert (found["epoch"], found["primary"], found["phase"]) == (1, "postgres", "normal")
    assert found["since"] == "2026-01-31T09:12:44.103Z"


@pytest.mark.parametrize(
    ("records", "phase"),
    [
        ([ASKED], "asked"),
        ([ASKED, HELD], "held"),
        ([ASKED, HELD, Aborted(**ENTRY, reason="r")], "asked"),
        ([ASKED, HELD, Aborted(**ENTRY, reason="r"), LetGo(**ENTRY)], "normal"),
        (TO_FENCE, "closed"),
        ([*TO_FENCE, Opening(**ENTRY)], "closed"),
        ([*TO_OPEN, Completed(by="o", at_ms=1)], "completed"),
    ],
)
def test_it_says_what_an_application_would_notice(
    page: PrimaryPage, ask: Ask, records: list[Record], phase: str
) -> None:
    page.update(after(*records))
    _, found = ask()
    assert found["phase"] == phase
    assert (found["attempt"] == "a") == (phase in {"asked", "held", "closed"})
    assert "joe" not in str(found)


def test_it_cannot_be_written_to(page: PrimaryPage, ask: Ask) -> None:
    page.update(State())
    assert ask(data=b"{}")[0] == 405


def test_a_head_request_has_the_head_alone(page: PrimaryPage, ask: Ask) -> None:
    page.update(State())
    assert ask(method="HEAD") == (200, {})


def test_metrics_are_served_beside_it(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert "of_test 1.0" in answer.read().decode()
