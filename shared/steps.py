"""Named steps at which a test can kill a daemon as a power cut would, or make it stand still.

``SWITCHBACK_KILL_AT=applied:3`` kills the process, with SIGKILL, when it reaches the step ``applied``
for the third time; ``applied:3:STOP`` sends SIGSTOP instead, once.  Without the variable a step costs one comparison.
"""

from __future__ import annotations

import os
import signal

from shared.errors import BadInput

VARIABLE = "SWITCHBACK_KILL_AT"

CAPTURE_STEPS = (
    "claimed",
    "snapshot-read",
    "snapshot-appended",
    "snapshot-flushed",
    "changes-read",
    "changes-half-appended",
    "changes-appended",
    "changes-flushed",
    "checkpoint-written",
    "pruned",
)
SINK_STEPS = ("started", "group-read", "applied", "ledger-written", "committed", "reported", "table-finished")
CLOSING_STEPS = (
    "asked",
    "held",
    "rest-published",
    "held-said",
    "before-fence",
    "fence-committed",
    "before-unfence",
    "unfenced",
    "gave-up",
)
OPENING_STEPS = ("drained", "prepared", "before-opening", "opening-said", "opened")
TOPICS_STEPS = (
    "publishing-claimed",
    "publishing-started",
    "publishing-read",
    "publishing-begun",
    "publishing-sent",
    "publishing-flushed",
    "publishing-kept",
)
CUTOVER_STEPS = (
    "before-asking",
    "asking-said",
    "held-seen",
    "verified-said",
    "opened-seen",
    "file-told",
    "hook-told",
    "announced",
)
ABORTING_STEPS = ("abort-said",)
STEPS = CAPTURE_STEPS + SINK_STEPS + CLOSING_STEPS + OPENING_STEPS + CUTOVER_STEPS + ABORTING_STEPS + TOPICS_STEPS

_SIGNALS = {"": signal.SIGKILL, "STOP": signal.SIGSTOP}

_armed: str | None = None
_left = 0
_signal = signal.SIGKILL


def arm(order: str | None) -> None:
    """Take an order of the form ``step[:count[:STOP]]``; None or "" disarms.  BadInput for an unknown step."""
    global _armed, _left, _signal
    _armed, _left = None, 0
    if not order:
        return
    step, _, rest = order.partition(":")
    count, _, name = rest.partition(":")
    if step not in STEPS or not (count or "1").isdigit() or name not in _SIGNALS:
        raise BadInput(f"{VARIABLE} names no step: {order!r}", remedy=f"Steps are {', '.join(STEPS)}")
    _armed, _left, _signal = step, int(count or "1"), _SIGNALS[name]


def reached(step: str) -> None:
    """Say that this step is reached; die or stand still here if that was ordered."""
    if _armed is None or step != _armed:
        return
    _count_down()


def _count_down() -> None:
    global _armed, _left  # noqa: PLW0603
    _left -= 1
    if _left <= 0:
        _armed = None
        os.kill(os.getpid(), _signal)
