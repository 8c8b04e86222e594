"""The switch in words: who is primary, what is under way, who waits for whom.  Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from operations.wording import duration, side_name
from shared.control.fold import Attempt, State
from shared.control.records import Drained, Fenced, Opening, Prepared, Verified
from shared.control.standing import Standing

UNKNOWN = "unknown"


class SwitchStatus(Struct):
    """What the control stream says; where it cannot be read, what the databases say of themselves.

    ``waiting`` is one sentence about an attempt under way, or why the primary is not known; "" otherwise.
    """

    epoch: int = 0  # also where the primary is not known
    primary: str = "sqlite"  # "sqlite", "postgres", UNKNOWN
    by_databases: bool = False  # the log cannot be read
    since: str = ""  # when it became the primary, "" in epoch 0
    attempt: str = ""
    closed: bool = False  # neither side takes writes
    waiting: str = ""
    remedy: str = ""  # what to do about it where it does not end by itself, "" where it will
    last: str = ""  # how the last attempt ended
    told: bool = True  # the application was told who is primary
    completed: bool = False
    completed_since: str = ""  # where this machine knows it
    refused: int = 0  # statements that met PostgreSQL's fence
    refused_last: str = ""
    way_back: str = ""  # with PostgreSQL as primary: until when one can go back without loss
    way_back_until: float | None = None  # Unix time; None where no end is in sight


def describe(state: State, now_ms: int) -> SwitchStatus:
    """The state for people and scripts."""
    attempt = state.attempt
    return SwitchStatus(
        epoch=state.epoch,
        primary=state.primary,
        since=_time(state.opened_ms) if state.opened_ms else "",
        attempt=attempt.id if attempt else "",
        closed=attempt is not None and attempt.has(Fenced),
        waiting=_waiting(state, attempt, now_ms) if attempt else "",
        remedy=_remedy(attempt) if attempt else "",
        last=_last(state),
        told=state.announced == state.epoch,
        completed=state.completed,
    )


def describe_databases(sqlite: Standing | None, postgres: Standing | None) -> SwitchStatus:
    """Who is primary by the databases alone; None is one that tells nothing.

    A role changes in the transaction that moves the fence, so whoever says that it is the primary takes writes.
    """
    known = [(side, found) for side, found in (("sqlite", sqlite), ("postgres", postgres)) if found]
    latest = max((found.epoch for _, found in known), default=0)
    opened = [(side, found) for side, found in known if found.role == "primary"]
    if len(opened) == 1 and opened[0][1].epoch == latest:
        return SwitchStatus(epoch=latest, primary=opened[0][0], by_databases=True)
    closed = sqlite is not None and postgres is not None and not opened
    return SwitchStatus(
        primary=UNKNOWN,
        closed=closed,
        waiting=_unknown(known, opened, latest),
        remedy=f"make the log readable{'; then `switchback resume` sees it through' if closed else ''}",
    )


def _unknown(known: list[tuple[str, Standing]], opened: list[tuple[str, Standing]], latest: int) -> str:
    """Why the primary is not known."""
    if not known:
        return "neither the log nor a database can be read"
    if len(opened) > 1:
        return "both databases say that they are the primary"
    side, found = (opened or known)[0]
    name, other = side_name(side), side_name("postgres" if side == "sqlite" else "sqlite")
    if opened:
        return f"{name} says that it is the primary in epoch {found.epoch}, and {other} has seen epoch {latest}"
    if len(known) == 1:
        return f"{name} is not the primary, and {other} does not say whether it is"
    return "neither database takes writes: a switch is half-way"


def _waiting(state: State, attempt: Attempt, now_ms: int) -> str:
    since = duration(max(0, now_ms - max(attempt.times.values())) / 1000)
    if attempt.has(Opening):
        return f"neither side takes writes; the sink has been opening {side_name(state.replica)} for {since}"
    if attempt.aborted and attempt.has(Fenced):
        return f"neither side takes writes; capture has to open {side_name(state.primary)} again, for {since}"
    if attempt.aborted:
        return f"given up ({attempt.aborted.reason}); capture has to let the writers go, for {since}"
    if attempt.has(Fenced):
        return f"neither side takes writes; the sink has to open {side_name(state.replica)}, for {since}"
    if attempt.held is None:
        return f"asked by {attempt.asked.who}; capture has to hold the writers, for {since}"
    held = duration(max(0, now_ms - attempt.held.since_ms) / 1000)
    missing = [step.__name__.lower() for step in (Drained, Verified, Prepared) if not attempt.has(step)]
    return f"capture held the writers {held} ago; not yet {' nor '.join(missing) or 'fenced'}"


def _remedy(attempt: Attempt) -> str:
    if attempt.has(Opening):
        return "start the sink and its database: it can only go forward; `switchback resume` sees it through"
    if attempt.aborted:
        return "start capture, if it does not run" if attempt.has(Fenced) else ""
    if attempt.has(Fenced):
        return "start the sink; `switchback resume` sees it through, `switchback abort` goes back"
    return ""


def _last(state: State) -> str:
    if state.last is None:
        return ""
    when = _time(state.last.ended_ms)
    if state.last.opened:
        return f"epoch {state.last.attempt.epoch} began at {when}"
    return f"given up at {when}: {state.last.reason}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
