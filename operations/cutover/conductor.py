"""The operator's part of an attempt: ask, verify what stands still, and see it through.

All that it decides is in the control stream.  If this program dies before the fence, capture lets the writers go
when their time is over; if it dies behind it, capture and sink go on to the end without it.
"""

from __future__ import annotations

import getpass
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from operations.cutover.unfinished import unfinished
from operations.verification.findings import Finding
from shared.control.channel import Channel
from shared.control.fold import Attempt, Flip, State
from shared.control.records import OPERATOR, Aborted, Asked, Drained, Fenced, Prepared, Verified, now_ms
from shared.errors import BadInput, Retry, Stop, SwitchbackError
from shared.groups import Position
from shared.steps import reached

_ANSWER_SECONDS = 10.0
"""How long a daemon that has something to do may be silent before the operator is told."""

_ENDED = "the operator's program was ended"
_LATE_WORD_SECONDS = 0.2
"""How late capture may say that it has let the writers go."""

_ROUND_SECONDS = 0.03
"""Less than capture needs to hear what is asked, to connect and to publish the rest."""


class Latest(Protocol):
    """Knows which keys changed lately and were not yet seen equal."""

    def round(self, seconds: float) -> object:
        """Look at those that there are by now, while both sides work."""

    def reach(self, upto: Position, deadline: float, over: Callable[[], bool]) -> bool:
        """Wait until the replica has applied that group; False where it is ``over`` before, or too late."""

    def finish(self, upto: Position, deadline: float) -> Sequence[Finding]:
        """Look at them all while both sides stand still at that group."""

    @property
    def looked_at(self) -> int:
        """How many keys that were."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator wants: the next epoch, and how long writers may wait, in seconds."""

    epoch: int
    max_pause: float
    rehearsal: bool = False


class Conductor:
    """Carries out one attempt; ``tell`` hears of each step as it is recorded."""

    def __init__(self, channel: Channel, latest: Latest, tell: Callable[[State], None]) -> None:
        self._channel = channel
        self._latest = latest
        self._tell = tell
        self.findings: Sequence[Finding] = ()

    def carry_out(self, wish: Wish) -> Flip:
        """Returns how it ended; BadInput where another attempt is under way, Stop where both sides are left closed."""
        reached("before-asking")
        attempt = self._ask(wish)
        reached("asking-said")
        try:
            self._verify(attempt, wish)
            if wish.rehearsal:
                self._wait(lambda now: now.has(Prepared), attempt, wish.max_pause)
                self._abort(attempt, "rehearsed")
        except BaseException as error:
            reason = error.what if isinstance(error, SwitchbackError) else _ENDED
            self._abort(attempt, reason)
            if not isinstance(error, SwitchbackError):
                raise
        try:
            return self._see_through(attempt, wish)
        except SwitchbackError:
            raise
        except BaseException:  # Ctrl-C
            self._abort_before_fence(attempt)
            raise

    def _ask(self, wish: Wish) -> Attempt:
        asked = Asked(
            by=OPERATOR,
            at_ms=now_ms(),
            attempt=uuid.uuid4().hex[:12],
            epoch=wish.epoch,
            max_pause_ms=round(wish.max_pause * 1000),
            rehearsal=wish.rehearsal,
            who=f"{getpass.getuser()}@{platform.node()}",
        )
        if void := self._channel.say(asked):
            raise BadInput(f"not now: {void}", where="control stream", remedy="See `switchback status`")
        now = self._channel.state.attempt  # another operator may have given it up, and capture let go, by then
        return now if now and now.id == asked.attempt else Attempt(asked, times={"Asked": asked.at_ms})

    def _verify(self, attempt: Attempt, wish: Wish) -> None:
        self._latest.round(_ROUND_SECONDS)  # capture is about to hold the writers: fewer keys are left for then
        if not self._wait(lambda now: now.held is not None, attempt, wish.max_pause + _ANSWER_SECONDS):
            return
        reached("held-seen")
        held, deadline = _current(self._channel.state).held, time.monotonic() + wish.max_pause
        assert held
        if not self._latest.reach(held.position, deadline, lambda: _over(self._channel.look(), attempt)):
            if _over(self._channel.look(), attempt):
                return
            raise self._silence(attempt, wish.max_pause)
        findings = self._latest.finish(held.position, deadline)
        if findings:
            if self._channel.wait(lambda now: _over(now, attempt), time.monotonic() + _LATE_WORD_SECONDS):
                return  # writers had gone on, and what moves looks different
            self.findings = findings
            found = f"{len(findings)} difference{'s' if len(findings) > 1 else ''}"
            raise Retry(f"{found} between the two sides, the first: {findings[0]}")
        keys = self._latest.looked_at
        self._channel.say(Verified(by=OPERATOR, at_ms=now_ms(), attempt=attempt.id, keys=keys))
        reached("verified-said")

    def _wait(self, until: Callable[[Attempt], bool], attempt: Attempt, seconds: float) -> bool:
        """Whether it came to that; False where the attempt ended before, Retry where nothing happened."""

        def done(state: State) -> bool:
            return _over(state, attempt) or until(_current(state))

        if not self._channel.wait(done, time.monotonic() + seconds):
            raise self._silence(attempt, seconds)
        self._tell(self._channel.state)
        return not _over(self._channel.state, attempt)

    def _silence(self, attempt: Attempt, seconds: float) -> Retry:
        what = f"no answer for {seconds:g} s: is {self._waited_for(attempt)} running?"
        return Retry(what, remedy="See `switchback status`")

    def _waited_for(self, attempt: Attempt) -> str:
        now = self._channel.state.attempt
        if now is None or now.id != attempt.id or now.held is None:
            return "capture"
        return "the sink" if not (now.has(Drained) and now.has(Prepared)) or now.has(Fenced) else "capture"

    def _abort_before_fence(self, attempt: Attempt) -> None:
        now = self._channel.look().attempt
        if now and not now.has(Fenced):
            self._abort(attempt, _ENDED)

    def _abort(self, attempt: Attempt, reason: str) -> None:
        if not _over(self._channel.look(), attempt):
            self._channel.say(Aborted(by=OPERATOR, at_ms=now_ms(), attempt=attempt.id, reason=reason))

    def _see_through(self, attempt: Attempt, wish: Wish) -> Flip:
        """Wait for the end, whichever it is."""

        def ended(state: State) -> bool:
            self._tell(state)
            return state.attempt is None or state.attempt.id != attempt.id

        ended_well = self._channel.wait(ended, time.monotonic() + wish.max_pause + _ANSWER_SECONDS)
        state = self._channel.state
        if not ended_well:
            raise unfinished(state.attempt or attempt)
        if state.last is None or state.last.attempt.id != attempt.id:
            raise Stop("another attempt came after this one", where="control stream", remedy="See `switchback status`")
        return state.last


def _over(state: State, attempt: Attempt) -> bool:
    now = state.attempt
    return now is None or now.id != attempt.id or now.aborted is not None


def _current(state: State) -> Attempt:
    assert state.attempt
    return state.attempt
