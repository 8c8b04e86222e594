"""The state of the switch: a fold over the control stream, the same for everybody who reads it.  Pure.

The log puts the records into one order, and that order decides: a record counts if it is legal after
those before it that count, and is void otherwise.  So a program that is about to do what cannot be
undone first writes that it will, reads the stream up to its own record, and acts only if that counts.

    asked -> held -> drained -> prepared -+-> fenced -> opening -> opened
               |                          |
               +-------> verified --------+

``aborted`` may come at any place before ``opening``; capture answers it with ``let go`` once the
primary takes writes again.  ``fenced`` is written *after* the fence is committed in the database, so
an abort that came in between makes it void, and capture takes the fence down again.  ``opening`` is
written *before* the new primary is opened: an abort and an opening can never both count, and whoever
opens knows that the old primary is closed and stays so.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from shared.control.records import (
    Aborted,
    Announced,
    Asked,
    Completed,
    Drained,
    Entry,
    Fenced,
    Held,
    LetGo,
    Opened,
    Opening,
    Prepared,
    Record,
    Step,
    Verified,
)
from shared.errors import Stop


class Attempt(Struct, frozen=True):
    """An attempt under way; ``times`` has when each step was recorded, in milliseconds."""

    asked: Asked
    held: Held | None = None
    aborted: Aborted | None = None
    times: dict[str, int] = {}

    @property
    def id(self) -> str:
        """Its name."""
        return self.asked.attempt

    @property
    def epoch(self) -> int:
        """The epoch that it would begin."""
        return self.asked.epoch

    def has(self, step: type[Entry]) -> bool:
        """Whether that step is done."""
        return step.__name__ in self.times

    @property
    def may_fence(self) -> bool:
        """Whether all is there that the fence waits for."""
        return self.has(Verified) and self.has(Prepared) and not self.aborted and not self.asked.rehearsal

    @property
    def may_open(self) -> bool:
        """Whether the old primary is closed for good."""
        return self.has(Fenced) and not self.aborted


class Flip(Struct, frozen=True):
    """An attempt that is over: opened, or given up for ``reason``."""

    attempt: Attempt
    opened: bool
    reason: str = ""
    ended_ms: int = 0
    fence_ms: int = 0  # of a rehearsal


class State(Struct, frozen=True):
    """Who is primary, and what is under way.  Even epochs are SQLite's, odd ones PostgreSQL's."""

    epoch: int = 0
    attempt: Attempt | None = None
    last: Flip | None = None
    given_up: tuple[str, ...] = ()  # attempts that ended in this epoch without an opening
    opened_ms: int = 0  # when the epoch began
    announced: int = 0  # the last epoch that the application was told of
    completed: bool = False

    @property
    def primary(self) -> str:
        """The database that takes the writes in this epoch, by the words of the reports."""
        return side_of(self.epoch)

    @property
    def replica(self) -> str:
        """The other one."""
        return side_of(self.epoch + 1)


def side_of(epoch: int) -> str:
    """Whose epoch it is: "sqlite" or "postgres"."""
    return "postgres" if epoch % 2 else "sqlite"


class Judged(NamedTuple):
    """The state after a record, and why the record is void ("" where it counts)."""

    state: State
    void: str = ""


_NEEDS: dict[type, tuple[type, ...]] = {
    Held: (Asked,),
    Drained: (Held,),
    Verified: (Held,),
    Prepared: (Drained,),
    Fenced: (Verified, Prepared),
    Opening: (Fenced,),
    Opened: (Opening,),
}
"""What each step of an attempt follows upon."""


def judge(state: State, record: Record) -> Judged:
    """Whether a record counts after that state, and what the state is then."""
    if isinstance(record, Asked):
        return _ask(state, record)
    if isinstance(record, Announced):
        return _announce(state, record)
    if isinstance(record, Completed):
        return _complete(state, record)
    if state.attempt is None or state.attempt.id != record.attempt:
        return Judged(state, f"attempt {record.attempt} is not under way")
    return _take_step(state, state.attempt, record)


def _ask(state: State, asked: Asked) -> Judged:
    if state.completed:
        return Judged(state, "the migration is completed")
    if state.attempt:
        return Judged(state, f"attempt {state.attempt.id} is under way ({state.attempt.asked.who})")
    if asked.epoch != state.epoch + 1:
        return Judged(state, f"epoch {state.epoch} is followed by {state.epoch + 1}, not by {asked.epoch}")
    return Judged(replace(state, attempt=Attempt(asked, times={"Asked": asked.at_ms})))


def _announce(state: State, record: Announced) -> Judged:
    if record.epoch != state.epoch:
        return Judged(state, f"this is epoch {state.epoch}, not {record.epoch}")
    return Judged(replace(state, announced=record.epoch))


def _complete(state: State, record: Completed) -> Judged:
    if state.attempt:
        return Judged(state, f"attempt {state.attempt.id} is under way")
    if record.epoch is not None and record.epoch != state.epoch:
        return Judged(state, f"this is epoch {state.epoch}, not {record.epoch}")
    return Judged(replace(state, completed=True))


def _take_step(state: State, attempt: Attempt, record: Step) -> Judged:
    if isinstance(record, Aborted):
        return _abort(state, attempt, record)
    if isinstance(record, LetGo):
        return _let_go(state, attempt, record)
    if attempt.aborted:
        return Judged(state, f"the attempt was aborted: {attempt.aborted.reason}")
    if attempt.has(type(record)):
        return Judged(state, "this step is done already")
    missing = [step.__name__ for step in _NEEDS[type(record)] if not attempt.has(step)]
    if missing:
        return Judged(state, f"{' and '.join(missing).lower()} must come before")
    if isinstance(record, Fenced) and attempt.asked.rehearsal:
        return Judged(state, "the attempt is a rehearsal")
    times = {**attempt.times, type(record).__name__: record.at_ms}
    done = replace(attempt, times=times, held=record if isinstance(record, Held) else attempt.held)
    if not isinstance(record, Opened):
        return Judged(replace(state, attempt=done))
    flip = Flip(done, opened=True, ended_ms=record.at_ms)
    return Judged(State(attempt.epoch, last=flip, opened_ms=record.at_ms, announced=state.announced))


def _abort(state: State, attempt: Attempt, record: Aborted) -> Judged:
    if attempt.has(Opening):
        return Judged(state, "the new primary is being opened: it can only go forward")
    if attempt.aborted:
        return Judged(state, f"the attempt was aborted already: {attempt.aborted.reason}")
    times = {**attempt.times, "Aborted": record.at_ms}
    return Judged(replace(state, attempt=replace(attempt, aborted=record, times=times)))


def _let_go(state: State, attempt: Attempt, record: LetGo) -> Judged:
    if not attempt.aborted:
        return Judged(state, "the attempt was not aborted")
    flip = Flip(attempt, opened=False, reason=attempt.aborted.reason, ended_ms=record.at_ms, fence_ms=record.fence_ms)
    return Judged(replace(state, attempt=None, last=flip, given_up=(*state.given_up, attempt.id)))


def check_not_completed(state: State) -> None:
    """Stop where the operator has said that the migration is over."""
    if state.completed:
        raise Stop("the migration is completed", remedy="Nothing is left to do for the daemons")
