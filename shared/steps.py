"""Named steps at which a test can kill a daemon as a power cut would.

``SWITCHBACK_KILL_AT=applied:3`` kills the process, with SIGKILL, when it reaches the step ``applied``
for the third time.  Without the variable a step costs one comparison.
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
CUTOVER_STEPS = ("before-asking", "asking-said", "held-seen", "verified-said", "opened-seen", "announced")
STEPS = CAPTURE_STEPS + SINK_STEPS + CLOSING_STEPS + OPENING_STEPS + CUTOVER_STEPS + TOPICS_STEPS

_armed: str | None = None
_left = 0


def arm(order: str | None) -> None:
    """Take an order of the form ``step[:count]``; None or "" disarms.  BadInput for an unknown step."""
    global _armed, _left
    _armed, _left = None, 0
    if not order:
        return
    step, _, count = order.partition(":")
    if step not in STEPS or not (count or "1").isdigit():
        raise BadInput(f"{VARIABLE} names no step: {order!r}", remedy=f"Steps are {', '.join(STEPS)}")
    _armed, _left = step, int(count or "1")


def reached(step: str) -> None:
    """Say that this step is reached; die here if that was ordered."""
    if _armed is None or step != _armed:
        return
    _count_down()


def _count_down() -> None:
    global _left  # noqa: PLW0603
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
