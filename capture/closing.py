"""Capture's part of a change of epoch: hold the primary's writers, publish the rest, put the fence up.

``Closing.take_part`` runs one attempt from ``asked`` on.  Until the fence is committed everything is undone by
ending the held transaction, which also happens if this process dies.  The fence's commit is the point of no
return for this side: whether it is taken down again is then decided by the control stream alone, here or,
after a crash, in ``settle``.

No writer waits longer than the attempt's ``max_pause``: it bounds the hold from its first moment to the fence, whatever
is waited for meanwhile (see ``limited``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from capture.limited import Limited, Overdue
from capture.primary import Primary
from capture.relay import Relay
from shared.control.channel import WRITERS_FIRST_SECONDS, Channel
from shared.control.fold import Attempt, State
from shared.control.records import CAPTURE, Aborted, Drained, Fenced, Held, LetGo, Prepared, Verified, now_ms
from shared.control.standing import Standing
from shared.errors import Retry, SourceRestored
from shared.groups import Position
from shared.logs import Logger
from shared.steps import reached

_LONG = 1e9


@dataclass(frozen=True, slots=True)
class Closing:
    """One program's way to close its primary."""

    primary: Primary
    channel: Channel
    check_log: Callable[[Position], None]  # Stop where the log does not hold that group
    stopped: Callable[[], bool]
    logger: Logger

    def take_part(self, attempt: Attempt, relay: Relay) -> bool:
        """Carry out an attempt; True if the primary is closed now, and this program's work with it over."""
        patience = attempt.asked.max_pause_ms / 1000
        reached("asked")
        if attempt.held or attempt.aborted:
            return self._give_up(attempt, "")
        self.channel.warm()
        self.logger.info("holding the writers", attempt=attempt.id, epoch=attempt.epoch)
        trouble = self.primary.hold(patience)
        if trouble:
            return self._give_up(attempt, trouble)
        with Limited(self.primary, patience) as limited:
            reached("held")
            try:
                return self._close(attempt, relay, limited, time.monotonic() + patience)
            except Overdue as error:
                return self._give_up(attempt, error.what)

    def _close(self, attempt: Attempt, relay: Relay, limited: Limited, deadline: float) -> bool:
        with limited.in_time() as primary:
            sequences = primary.sequences()
        position = relay.publish_rest(attempt.id)
        limited.check()
        reached("rest-published")
        lease, number, offset = position.parts
        held = Held(
            by=CAPTURE,
            at_ms=now_ms(),
            attempt=attempt.id,
            since_ms=self.primary.since_ms,
            lease=lease,
            number=number,
            offset=offset,
            sequences=sequences,
        )
        began = time.monotonic()
        if void := self.channel.say(held):
            return self._give_up(attempt, void)
        said = time.monotonic()
        reached("held-said")
        with limited.in_time() as primary:
            primary.prepare_fence()  # while the others drain, verify and prepare
        ready = time.monotonic()
        self.channel.wait(lambda state: _decided(state, attempt), deadline, self.stopped)
        if not _may_fence(self.channel.look(), attempt):
            still = _still_to_come(said - began, ready - said) if attempt.asked.rehearsal else 0
            return self._give_up(attempt, self._reason(attempt), still)
        reached("before-fence")
        with limited.in_time() as primary:
            left = max(0.0, deadline - time.monotonic())
            trouble = primary.fence(attempt.id, attempt.epoch, position, relay.progress, left)
        if trouble:
            return self._give_up(attempt, trouble)
        reached("fence-committed")
        closed = self._say_fenced(attempt)
        if closed and not self._await_end(attempt):
            time.sleep(WRITERS_FIRST_SECONDS)
        return closed

    def _reason(self, attempt: Attempt) -> str:
        now = self.channel.state.attempt
        if self.stopped():
            return "capture was stopped"
        if now is None or now.id != attempt.id:
            return ""
        if now.aborted:
            return now.aborted.reason
        missing = [step.__name__.lower() for step in (Drained, Verified, Prepared) if not now.has(step)]
        waited = f"writers had waited for {attempt.asked.max_pause_ms / 1000:g} s"
        if missing:
            return f"{waited}, and it was not yet {' nor '.join(missing)}"
        return f"{waited}, and the operator's program did not end the rehearsal"

    def _say_fenced(self, attempt: Attempt) -> bool:
        """Another instance may have said so first: what counts is what the stream says of the attempt now."""
        void = self.channel.say(Fenced(by=CAPTURE, at_ms=now_ms(), attempt=attempt.id))
        if not void or _stays_closed(self.channel.state, attempt):
            self.logger.info("closed", attempt=attempt.id, epoch=attempt.epoch)
            return True
        self.logger.warning("the fence comes down again", attempt=attempt.id, reason=void)
        return not self._take_back(attempt)

    def _take_back(self, attempt: Attempt) -> bool:
        reached("before-unfence")
        self.primary.unfence(attempt.id)
        reached("unfenced")
        self.channel.say(LetGo(by=CAPTURE, at_ms=now_ms(), attempt=attempt.id))
        return True

    def _give_up(self, attempt: Attempt, reason: str, fence_ms: int = 0) -> bool:
        """Let the writers go, and say so."""
        self.primary.let_go()
        now = self.channel.state.attempt
        if now and now.id == attempt.id and not now.aborted:
            self.channel.say(Aborted(by=CAPTURE, at_ms=now_ms(), attempt=attempt.id, reason=reason))
        reached("gave-up")
        self.channel.say(LetGo(by=CAPTURE, at_ms=now_ms(), attempt=attempt.id, fence_ms=fence_ms))
        self.logger.info("writers go on", attempt=attempt.id, reason=reason or "aborted")
        return False

    def settle(self) -> bool:
        """Where an interruption left this side: True if it is the open primary, False if the other one is now.

        Also waits, closed, for an attempt that is beyond the fence.  Raises SourceRestored where the database is
        not what the control stream says.

        The database is looked at first and the stream read to its end after that: so an attempt whose fence was
        seen and that is not under way is over, and never one that this program has not heard of yet.
        """
        side = self.channel.state.primary
        standing = self.primary.standing()
        state = self.channel.open()
        attempt = state.attempt
        if state.primary != side:
            return False
        if standing.role == "primary":
            self._check_open(state)
            if attempt:
                self._give_up(attempt, "capture was started anew, and with that the writers were let go")
            return True
        self._check_closed(standing, state)
        if attempt and attempt.id == standing.attempt:
            return self._await_opening(attempt)
        self.primary.unfence(standing.attempt)  # the attempt was given up: it can never be opened
        return True

    def _check_closed(self, standing: Standing, state: State) -> None:
        """Another log, or an older copy of the right one, has no say in whether a fence comes down."""
        under_way = (state.attempt.id,) if state.attempt else ()
        if standing.attempt not in (*under_way, *state.given_up):
            what = f"it was closed for epoch {standing.epoch}, of which the log, at epoch {state.epoch}, knows nothing"
            where = f"{state.primary}, attempt {standing.attempt}"
            raise SourceRestored(what, where=where, remedy=_OTHER_LOG)
        self.check_log(self.primary.closed_at())

    def _check_open(self, state: State) -> None:
        """Another instance may have closed it meanwhile: then both are looked at anew."""
        standing = self.primary.standing()
        if standing.role == "replica":
            raise Retry("the primary was closed just now", where=f"epoch {standing.epoch}")
        fenced = state.attempt and state.attempt.may_open
        if fenced or standing.epoch != state.epoch:
            what = f"{state.primary} stands at epoch {standing.epoch}, but the control stream at {state.epoch}"
            raise SourceRestored(what, remedy=_RESTORED)

    def _await_opening(self, attempt: Attempt) -> bool:
        """True if the primary was opened again, False if it stays closed."""
        if not attempt.has(Fenced) and not attempt.aborted and self._say_fenced(attempt) is False:
            return True
        return self._await_end(attempt) and self._take_back(attempt)

    def _await_end(self, attempt: Attempt) -> bool:
        """Whether it was undone: beyond the fence, without a move, for the other side needs the processor now."""
        self.channel.wait(lambda state: _undone(state, attempt) or _over(state, attempt), _LONG, self.stopped)
        return _undone(self.channel.state, attempt)


_OTHER_LOG = "Is it the right log (--log, --stream), or was either restored from a backup? Until then it stays closed"
_RESTORED = "Was it restored from a backup? Bring the newer one back, or copy again"


def _still_to_come(saying: float, preparing: float) -> int:
    """Of a pause that was only rehearsed, in milliseconds: two records that others wait for, and the fence's commit.

    That, and how soon writers notice, cannot be tried: it is taken to be as long as the fence took to prepare.
    """
    return round((preparing + 2 * saying) * 1000)


def _over(state: State, attempt: Attempt) -> bool:
    return state.attempt is None or state.attempt.id != attempt.id


def _undone(state: State, attempt: Attempt) -> bool:
    return not _over(state, attempt) and state.attempt is not None and state.attempt.aborted is not None


def _stays_closed(state: State, attempt: Attempt) -> bool:
    if _over(state, attempt):
        return state.epoch >= attempt.epoch
    return state.attempt is not None and state.attempt.may_open


def _may_fence(state: State, attempt: Attempt) -> bool:
    return not _over(state, attempt) and state.attempt is not None and state.attempt.may_fence


def _decided(state: State, attempt: Attempt) -> bool:
    return _over(state, attempt) or _undone(state, attempt) or _may_fence(state, attempt)
