"""``/healthz`` and ``/readyz``, as Kubernetes asks them.

``/healthz``: the process lives and its loop turns.  Each turn promises the next one within some time; a daemon
whose promise is broken hangs, and to start it anew helps.  That a server is away is no reason: the loop then
turns while it waits.  A copy promises nothing, for an index over a large table may take hours.

``/readyz``: both the database and the log are reached, the copy is there, and what was written is known with a
delay that is worth something.  Not ready is no reason to start the daemon anew.

Both answer from what the loop left here: asking them touches no database.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from shared.wsgi import Answer, Environment, Start, answer_json

HEALTH, READY = "/healthz", "/readyz"
PATIENCE_SECONDS = 1_800.0  # the longest that applying one group of millions of changes may take
BEHIND_SECONDS = 60.0


class Pulse:
    """Set by the daemon's loop, read by the HTTP server's threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._promised = math.inf
        self._turned = clock()
        self._trouble = "nothing was reached yet"
        self._copied = False
        self._behind = 0.0

    def turn(self) -> None:
        """The loop has turned."""
        self._turned = self._clock()
        self._promised = self._turned + PATIENCE_SECONDS if self._copied else math.inf

    def connected(self, trouble: str = "") -> None:
        """What the daemon waits for, "" once it works."""
        self._trouble = trouble

    def stands(self, *, copied: bool, behind: float) -> None:
        """How far it is: whether the copy is whole, and by how many seconds it is late."""
        self._copied, self._behind = copied, behind

    @property
    def sick(self) -> str:
        """Why the process should be started anew, "" where it is well."""
        late = self._clock() - self._promised
        return "" if late < 0 else f"the loop has not turned for {late + PATIENCE_SECONDS:.0f} s"

    @property
    def unready(self) -> str:
        """Why it is of no use yet, "" where it is."""
        if self._trouble:
            return self._trouble
        if not self._copied:
            return "the copy is not finished"
        return f"{self._behind:.0f} s behind" if self._behind > BEHIND_SECONDS else ""

    def health(self, environment: Environment, start: Start) -> Answer:
        """``/healthz``."""
        return _say(self.sick, environment, start)

    def readiness(self, environment: Environment, start: Start) -> Answer:
        """``/readyz``."""
        return _say(self.sick or self.unready, environment, start)


def _say(wrong: str, environment: Environment, start: Start) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
    return answer_json(status, msgspec.json.encode({"ok": not wrong, "reason": wrong}) + b"\n", environment, start)
