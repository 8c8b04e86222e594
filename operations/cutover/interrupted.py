"""Ctrl-C in a change of primary: where things stand, and what to run next."""

from __future__ import annotations

import time
from contextlib import closing

from operations.completion import open_existing_log
from operations.cutover.summary import describe
from operations.cutover.view import last_step
from operations.screen import Interrupted
from operations.wording import side_name
from shared.control.channel import Channel
from shared.control.fold import Flip, State
from shared.control.records import now_ms
from shared.errors import SwitchbackError
from shared.settings import Settings

_LET_GO_SECONDS = 5.0
"""How long capture is waited for once the attempt is given up."""


def look_after(settings: Settings) -> State:
    """The state now, over connections of its own: those that were in use may have been interrupted anywhere.

    Interrupted where it cannot be read.
    """
    try:
        with closing(open_existing_log(settings)) as log:
            channel = Channel(log.control)
            channel.open()
            channel.wait(_is_settled, time.monotonic() + _LET_GO_SECONDS)
            return channel.state
    except SwitchbackError as error:
        what = f"interrupted, and where things stand cannot be read: {error.what}"
        raise Interrupted(what, where=error.where, remedy="Run `switchback status`") from error


def given_up(before: State, after: State) -> Flip | None:
    """The attempt that the interruption has ended, None where it has ended none."""
    new = after.last if after.last != before.last else None
    return new if new and not new.opened else None


def interruption(before: State, after: State, now: int | None = None) -> Interrupted:
    """What to say of it: ``before`` is the state that the command began with."""
    if after.attempt is not None:
        found = describe(after, now_ms() if now is None else now)
        seconds = after.attempt.asked.max_pause_ms / 1000
        by_itself = f"Capture lets the writers go after {seconds:g} s at the most; `switchback abort` gives up now"
        remedy = found.remedy or by_itself
        return Interrupted(f"interrupted: {found.waiting}", remedy=remedy[:1].upper() + remedy[1:])
    primary = f"{side_name(after.primary)} is the primary"
    if after.epoch != before.epoch:
        untold = after.announced < after.epoch
        remedy = "Run `switchback resume`: the application was not told yet" if untold else ""
        return Interrupted(f"interrupted when it was done: {primary} now, epoch {after.epoch}", remedy=remedy)
    if ended := given_up(before, after):
        reached = last_step(ended.attempt)
        what = f"interrupted and given up (reached: {reached}): {primary} and takes writes, as before"
        return Interrupted(what, remedy="To try again, run the same command")
    what = f"interrupted before writers were asked to wait: nothing was changed, {primary} as before"
    return Interrupted(what, remedy="To try again, run the same command")


def _is_settled(state: State) -> bool:
    return state.attempt is None or state.attempt.aborted is None
