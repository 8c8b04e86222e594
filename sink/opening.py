"""The sink's part of a change of epoch: drain, prepare, and open the replica as the new primary.

Everything that opening needs is done in a transaction that stays uncommitted until the old primary is closed;
then one COMMIT opens.  Before it, ``opening`` is written to the control stream and read back: only if it
counts can nobody take the attempt back any more, and only then may this side be opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.control.channel import WRITERS_FIRST_SECONDS, Channel
from shared.control.fold import Attempt, State
from shared.control.records import SINK, Aborted, Drained, Fenced, Opened, Opening, Prepared, now_ms
from shared.control.standing import Standing
from shared.errors import SourceRestored, SwitchbackError
from shared.logs import Logger
from shared.steps import reached

_LONG = 1e9
_NEXT_SECONDS = 0.05
_HELD_SECONDS = 10.0  # beyond the attempt's own time: between the barrier and capture's word about it


class Replica(Protocol):
    """The replica, as far as it is opened."""

    def standing(self) -> Standing:
        """What the database says of itself."""

    def prepare(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Do all that opening needs in a transaction, and leave it open."""

    def unprepare(self) -> None:
        """Roll that transaction back; nothing happens where there is none."""

    def open_side(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Commit it (after doing it anew, if it was lost); nothing happens where that attempt opened it already."""


@dataclass(frozen=True, slots=True)
class Taker:
    """One program's way to open its replica."""

    replica: Replica
    channel: Channel
    stopped: Callable[[], bool]
    logger: Logger

    def settle(self) -> bool:
        """Where an interruption left this side: True if it is the replica, False if it was opened.

        Raises SourceRestored where the database is not what the control stream says.
        """
        side = self.channel.state.replica
        standing = self.replica.standing()
        state = self.channel.open()  # after the database was looked at: it is never behind it
        attempt = state.attempt
        if state.replica != side:
            return False
        if standing.role == "replica" and standing.epoch == state.epoch:
            return True
        if standing.role == "primary" and attempt and attempt.has(Opening) and standing.attempt == attempt.id:
            self._say(Opened(by=SINK, at_ms=now_ms(), attempt=attempt.id))
            return False
        what = f"{state.replica} says that it is the {standing.role} of epoch {standing.epoch}"
        where = f"the control stream says replica, epoch {state.epoch}"
        raise SourceRestored(what, where=where, remedy=_RESTORED)

    def take_part(self, number: int, named: str) -> bool:
        """Carry out the attempt under way, if the replica has come to its barrier; True if this side is open now.

        ``named`` is the attempt that the barrier is of, "" where that is not known.
        """
        attempt = self._reached_by(number, named)
        if attempt is None:
            return False
        try:
            return self._open(attempt)
        finally:
            self.replica.unprepare()

    def _reached_by(self, number: int, named: str) -> Attempt | None:
        """The attempt whose barrier that group is, or an earlier one."""
        if not self._hears_of(named):
            self.channel.open()  # what was asked before the barrier came is in the stream
        attempt = self.channel.state.attempt
        if attempt is None or attempt.aborted:
            return None
        if attempt.held is None:
            asked = attempt
            deadline = time.monotonic() + asked.asked.max_pause_ms / 1000 + _HELD_SECONDS
            self.channel.wait(lambda state: _settled(state, asked), deadline, self.stopped)
            attempt = self.channel.state.attempt
        return attempt if attempt and attempt.held and attempt.held.number <= number and not attempt.aborted else None

    def _hears_of(self, named: str) -> bool:
        """Usually it is the next record: no need to ask the log for its end while writers wait."""
        deadline = time.monotonic() + _NEXT_SECONDS
        return bool(named) and self.channel.wait(lambda state: _is(state, named), deadline, self.stopped)

    def _open(self, attempt: Attempt) -> bool:
        assert attempt.held
        name, epoch, sequences = attempt.id, attempt.epoch, attempt.held.sequences
        if not attempt.has(Drained):
            self.channel.mention(Drained(by=SINK, at_ms=now_ms(), attempt=name))
        reached("drained")
        if not attempt.has(Fenced):
            self._prepare(attempt)
        if not self._await_fence(attempt):
            self.logger.info("stays the replica", attempt=name)
            return False
        reached("before-opening")
        if not self._may_open(attempt):
            return False
        reached("opening-said")
        self.replica.open_side(name, epoch, sequences)
        reached("opened")
        self._say(Opened(by=SINK, at_ms=now_ms(), attempt=name))
        self.logger.info("opened", attempt=name, epoch=epoch)
        time.sleep(WRITERS_FIRST_SECONDS)
        return True

    def _prepare(self, attempt: Attempt) -> None:
        """Where that fails the attempt is over, and why is said to the operator."""
        assert attempt.held
        try:
            self.replica.prepare(attempt.id, attempt.epoch, attempt.held.sequences)
        except SwitchbackError as error:
            self._say(Aborted(by=SINK, at_ms=now_ms(), attempt=attempt.id, reason=str(error)))
            raise
        reached("prepared")
        if not attempt.has(Prepared):
            self._say(Prepared(by=SINK, at_ms=now_ms(), attempt=attempt.id))

    def _await_fence(self, attempt: Attempt) -> bool:
        def decided(state: State) -> bool:
            now = state.attempt
            return now is None or now.id != attempt.id or now.aborted is not None or now.may_open

        self.channel.wait(decided, _LONG, self.stopped)
        now = self.channel.state.attempt
        return now is not None and now.id == attempt.id and now.may_open

    def _may_open(self, attempt: Attempt) -> bool:
        """Another instance may have said so first: what counts is what the stream says of the attempt now."""
        self._say(Opening(by=SINK, at_ms=now_ms(), attempt=attempt.id))
        now = self.channel.state.attempt
        return now is not None and now.id == attempt.id and now.has(Opening)

    def _say(self, record: Prepared | Opening | Opened | Aborted) -> str:
        void = self.channel.say(record)
        if void:
            self.logger.info("not taken", record=record.name, attempt=record.attempt, reason=void)
        return void


_RESTORED = "Was it restored from a backup? Bring the newer one back, or copy again"


def _is(state: State, named: str) -> bool:
    return state.attempt is not None and state.attempt.id == named


def _settled(state: State, attempt: Attempt) -> bool:
    now = state.attempt
    return now is None or now.id != attempt.id or now.held is not None or now.aborted is not None
