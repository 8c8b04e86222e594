"""``/primary``: who takes the writes, as JSON, for applications and load balancers that ask over HTTP.

    {"stream": "app", "epoch": 3, "primary": "postgres", "since": "2026-01-31T09:12:44.103Z",
     "phase": "normal", "attempt": null}

``phase`` is ``normal``; ``asked`` while a change of sides is prepared; ``held`` while writers wait; ``closed``
when the old primary refuses writes and the new one does not take them yet; ``completed`` after the end.  The
answer is only as new as this daemon's last look at the log; what holds is the fence in the databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.control.fold import Attempt, State
from shared.control.records import Aborted, Fenced, Held

PATH = "/primary"

Environment = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environment, Start], Iterable[bytes]]


class PrimaryPage:
    """The page's content; updated by the daemon's loop, read by the HTTP server's threads."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._seen: State | None = None
        self._status = "503 Service Unavailable"
        self._body = _encode({"stream": stream, "phase": "unknown"})

    def update(self, state: State) -> None:
        """Take in what the control stream says; costs nothing where it is what it was."""
        if state is self._seen:
            return
        self._seen = state
        self._body = _encode(self._describe(state))
        self._status = "200 OK"

    def _describe(self, state: State) -> dict[str, object]:
        return {
            "stream": self._stream,
            "epoch": state.epoch,
            "primary": state.primary,
            "since": _iso(state.opened_ms) if state.opened_ms else None,
            "phase": "completed" if state.completed else phase_of(state.attempt),
            "attempt": state.attempt.id if state.attempt else None,
        }

    def answer(self, environment: Environment, start: Start) -> Iterable[bytes]:
        """One request, by WSGI."""
        if environment.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            start("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return []
        body = self._body
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        start(self._status, [*headers, ("Content-Length", str(len(body)))])
        return [body] if environment["REQUEST_METHOD"] == "GET" else []


def phase_of(attempt: Attempt | None) -> str:
    """What an application would notice of the attempt."""
    if attempt is None:
        return "normal"
    if attempt.has(Fenced):
        return "closed"
    if attempt.has(Held) and not attempt.has(Aborted):
        return "held"
    return "asked"


def route(page: PrimaryPage, others: Application) -> Application:
    """The page at its path, and ``others`` everywhere else."""

    def answer(environment: Environment, start: Start) -> Iterable[bytes]:
        path = str(environment.get("PATH_INFO", "")).rstrip("/")
        return page.answer(environment, start) if path == PATH else others(environment, start)

    return answer


def _encode(content: dict[str, object]) -> bytes:
    return msgspec.json.encode(content) + b"\n"


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
