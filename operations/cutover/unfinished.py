"""What to say of an attempt that does not end: what state it has left, and what to do about it."""

from __future__ import annotations

from shared.control.fold import Attempt
from shared.control.records import Fenced, Opening
from shared.errors import Stop


def unfinished(attempt: Attempt) -> Stop:
    """The error for the operator."""
    where = f"attempt {attempt.id}"
    if attempt.has(Opening):
        what = "neither side takes writes: the old primary is closed, and the sink has begun to open the new one"
        return Stop(what, where=where, remedy="Start the sink and its database: it can only go forward")
    if attempt.aborted or not attempt.has(Fenced):
        what = "the attempt has not ended: capture does not answer"
        remedy = "Start capture: it lets the writers go, or goes on if it had closed its side already"
        return Stop(what, where=where, remedy=remedy)
    what = "neither side takes writes: the old primary is closed, and the sink does not open the new one"
    remedy = "Start the sink: it opens it by itself; `switchback abort` goes back instead"
    return Stop(what, where=where, remedy=remedy)
