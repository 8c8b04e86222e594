"""Trying again while a server is away: a loop around a daemon's work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from shared.errors import Refused, Retry, SwitchbackError
from shared.logs import Logger
from shared.metrics import ProgramMetrics
from shared.pulse import Pulse
from shared.redaction import redact

_FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
"""Between two tries, at the most."""


class Retrying:
    """Runs work until it ends by itself or ``stop`` is set; waits longer after each Retry in a row.

    The work calls ``well`` whenever something succeeded, which ends the row.  From then on a password that is
    refused is tried again too, for it is being changed, and the work reads it anew.
    """

    def __init__(
        self,
        stop: threading.Event,
        logger: Logger,
        metrics: ProgramMetrics,
        pulse: Pulse,
        note: Callable[[str], None] = lambda _trouble: None,
    ) -> None:
        self._stop = stop
        self._logger = logger
        self._metrics = metrics
        self._pulse = pulse
        self._note = note
        self._trouble = ""
        self._worked = False
        self._pause = _FIRST_SECONDS

    def run(self, work: Callable[[], None]) -> None:
        """Run ``work`` from its beginning as often as it raises Retry (or Refused, as said); others pass through."""
        while not self._stop.is_set():
            try:
                work()
            except Retry as error:
                self._wait(error)
            except Refused as error:
                if not self._worked:
                    raise
                self._wait(error)
            else:
                return

    def well(self) -> None:
        """The loop has turned, and something succeeded: cheap enough to be called for each group."""
        if not self._worked:
            self._worked = True
            self._pulse.connected()
        self._turn()
        if self._trouble:
            self._metrics.reconnects.inc()
            self._logger.info("goes on")
            self._change("")
            self._pause = _FIRST_SECONDS

    def _wait(self, error: SwitchbackError) -> None:
        self._turn()
        self._metrics.errors.labels(error.label).inc()
        if str(error) != self._trouble:
            self._logger.warning("waiting to try again", reason=str(error))
            self._change(str(error))
        self._stop.wait(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
        self._pause = min(self._pause * 2, LONGEST_SECONDS)

    def _change(self, trouble: str) -> None:
        self._trouble = trouble
        self._note(trouble)
        self._pulse.connected(redact(trouble))
        self._metrics.up.set(0 if trouble else 1)

    def _turn(self) -> None:
        self._metrics.loop_time.set(time.time())
        self._pulse.turn()
