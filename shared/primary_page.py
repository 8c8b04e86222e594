"""``/primary``: who takes the writes, as JSON, for applications and load balancers that ask over HTTP.

    {"stream": "app", "epoch": 3, "primary": "postgres", "since": "2026-01-31T09:12:44.103Z",
     "phase": "normal", "attempt": null}

``phase`` is ``normal``; ``asked`` while a change of sides is prepared; ``held`` while writers wait; ``closed``
when the old primary refuses writes and the new one does not take them yet; ``completed`` after the end.  The
answer is only as new as this daemon's last look at the log; what holds is the fence in the databases.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import msgspec

from shared.control.fold import Attempt, State
from shared.control.records import Aborted, Fenced, Held
from shared.wsgi import Answer, Environment, Start, answer_json

PATH = "/primary"
PHASES = ("normal", "asked", "held", "closed", "completed")


class PrimaryPage:
    """The page's content; updated by the daemon's loop, read by the HTTP server's threads."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._seen: State | None = None
        self._status = HTTPStatus.SERVICE_UNAVAILABLE
        self._body = _encode({"stream": stream, "phase": "unknown"})

    def update(self, state: State) -> None:
        """Take in what the control stream says; costs nothing where it is what it was."""
        if state is self._seen:
            return
        self._seen = state
        self._body = _encode(self._describe(state))
        self._status = HTTPStatus.OK

    def _describe(self, state: State) -> dict[str, object]:
        return {
            "stream": self._stream,
            "epoch": state.epoch,
            "primary": state.primary,
            "since": _iso(state.opened_ms) if state.opened_ms else None,
            "phase": phase_of(state),
            "attempt": state.attempt.id if state.attempt else None,
        }

    def answer(self, environment: Environment, start: Start) -> Answer:
        """One request, by WSGI."""
        return answer_json(self._status, self._body, environment, start)


def phase_of(state: State) -> str:
    """One of ``PHASES``: what an application would notice of the switch."""
    return "completed" if state.completed else _phase_of(state.attempt)


def _phase_of(attempt: Attempt | None) -> str:
    if attempt is None:
        return "normal"
    if attempt.has(Fenced):
        return "closed"
    if attempt.has(Held) and not attempt.has(Aborted):
        return "held"
    return "asked"


def _encode(content: dict[str, object]) -> bytes:
    return msgspec.json.encode(content) + b"\n"


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
