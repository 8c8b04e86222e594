"""What the operator can do about an attempt that is under way: ``abort`` and ``resume``."""

from __future__ import annotations

import time
from contextlib import closing

from operations.completion import open_existing_log
from operations.cutover.unfinished import unfinished
from operations.cutover.view import Progress
from operations.screen import tell
from operations.telling.announcing import announce, is_told
from operations.wording import side_name
from shared.control.channel import Channel
from shared.control.fold import Attempt, State
from shared.control.records import OPERATOR, Aborted, Fenced, now_ms
from shared.errors import BadInput, Stop
from shared.settings import Settings
from shared.steps import reached


def abort(settings: Settings, reason: str, wait: float) -> int:
    """Give the attempt up, if that is still possible, and wait until the old primary takes writes again."""
    with closing(open_existing_log(settings)) as log:
        channel = Channel(log.control)
        attempt = _under_way(channel.open())
        void = channel.say(Aborted(by=OPERATOR, at_ms=now_ms(), attempt=attempt.id, reason=reason))
        if void and not attempt.aborted:
            raise BadInput(f"not possible any more: {void}", remedy="Run `switchback resume`")
        reached("abort-said")
        if not _wait_for_end(channel, attempt, wait):
            if not (channel.state.attempt or attempt).has(Fenced):
                raise unfinished(channel.state.attempt or attempt)
            what = "the attempt is given up, but the old primary does not take writes again yet"
            raise Stop(what, where=f"attempt {attempt.id}", remedy="Start capture: it opens the old primary by itself")
        tell(f"Given up. {side_name(channel.state.primary)} takes the writes, as before.")
    return 0


def resume(settings: Settings, wait: float) -> int:
    """See an attempt through whose operator's program is gone, and tell the application who is primary."""
    with closing(open_existing_log(settings)) as log:
        channel = Channel(log.control)
        state = channel.open()
        if state.attempt is not None and not _wait_for_end(channel, state.attempt, wait):
            raise unfinished(channel.state.attempt or state.attempt)
        state = channel.state
        tell(f"{side_name(state.primary)} takes the writes (epoch {state.epoch}); nothing is under way.")
        if not is_told(settings, state) and not announce(settings, channel):
            return 1
    return 0


def _under_way(state: State) -> Attempt:
    if state.attempt is None:
        raise BadInput("no attempt is under way", where=f"epoch {state.epoch}", remedy="See `switchback status`")
    return state.attempt


def _wait_for_end(channel: Channel, attempt: Attempt, seconds: float) -> bool:
    progress = Progress()

    def ended(state: State) -> bool:
        progress.update(state)
        return state.attempt is None or state.attempt.id != attempt.id

    return channel.wait(ended, time.monotonic() + seconds)
