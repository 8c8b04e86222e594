"""What the operator sees of an attempt: one line a step, and in the end how long the writers waited."""

from __future__ import annotations

from itertools import accumulate

from operations.cutover.conductor import Wish
from operations.screen import tell
from operations.wording import duration, side_name
from shared.control.fold import Attempt, Flip, State, side_of
from shared.control.pause import held_ms

_BUSY_SLEEPS_MS = (1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100)
"""https://sqlite.org/src/file/src/main.c, sqliteDefaultBusyCallback: then 100 ms again and again."""
_STEPS = {
    "Asked": "asked",
    "Held": "writers wait, the rest is in the log",
    "Drained": "the replica has everything",
    "Verified": "what changed lately is equal on both sides",
    "Prepared": "the new primary is one COMMIT away from open",
    "Fenced": "the old primary is closed",
    "Opening": "the new primary is being opened",
    "Opened": "the new primary takes writes",
    "Aborted": "given up",
    "LetGo": "the old primary takes writes again",
}


class Progress:
    """Prints each step once, with the time since it was asked for."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def update(self, state: State) -> None:
        """Show what is new."""
        attempt = state.attempt or (state.last.attempt if state.last else None)
        if attempt is not None:
            self._show(attempt)

    def _show(self, attempt: Attempt) -> None:
        early = {"Verified"} if not {"Drained", "Aborted"} & attempt.times.keys() else set()  # the sink says so later
        for step, at in sorted(attempt.times.items(), key=lambda item: item[1]):
            if step not in early and (attempt.id, step) not in self._shown:
                self._shown.add((attempt.id, step))
                tell(f"  {duration_since(attempt, at):>8}  {_STEPS[step]}", style="dim")


def last_step(attempt: Attempt) -> str:
    """How far it came, in words."""
    steps = [step for step in attempt.times if step not in {"Aborted", "LetGo"}]
    return _STEPS[max(steps, key=list(_STEPS).index)]


def duration_since(attempt: Attempt, at_ms: int) -> str:
    """Since it was asked for; the clocks are the programs' own."""
    return duration(max(0, at_ms - attempt.asked.at_ms) / 1000)


def outcome_of(ended: Flip, wish: Wish) -> list[str]:
    """How it ended, in a few lines."""
    pause = held_ms(ended)
    waited = "" if pause is None else f"write pause {duration(pause / 1000)}"
    if ended.opened:
        return [f"{side_name(side_of(wish.epoch))} is the primary now: {waited}, epoch {wish.epoch}."]
    if wish.rehearsal and ended.reason == "rehearsed":
        return [f"Rehearsed: all steps up to the fence went well; the real write pause would be {_estimate(ended)}."]
    held = f" Writers were held for {duration(pause / 1000)} and went on." if pause else " No writer was held."
    return [f"Given up: {ended.reason}.{held}", f"{side_name(side_of(wish.epoch - 1))} is still the primary."]


def rehearsed_ms(ended: Flip) -> int:
    """What the writers would have noticed: up to the last step that the fence waits for, and what comes behind it."""
    held = measured_ms(ended)
    if side_of(ended.attempt.epoch) == "postgres":
        return noticed_ms(held + ended.fence_ms)
    return held + noticed_ms(ended.fence_ms)  # who is refused by PostgreSQL waits for SQLite's lock until it is opened


def measured_ms(ended: Flip) -> int:
    """How long writers had waited in a rehearsal when all was there that the fence waits for."""
    attempt = ended.attempt
    assert attempt.held
    ready = max(attempt.times.get("Verified", 0), attempt.times.get("Prepared", 0))
    return ready - attempt.held.since_ms


def _estimate(ended: Flip) -> str:
    whole, measured = rehearsed_ms(ended), measured_ms(ended)
    parts = f"measured {measured} ms, and about {max(0, whole - measured)} ms for the last step"
    return f"about {duration(whole / 1000)} ({parts})"


def noticed_ms(held: int) -> int:
    """When a writer that waits for SQLite's lock looks again after so long: its busy handler sleeps in between."""
    looks = accumulate(_BUSY_SLEEPS_MS)
    last = sum(_BUSY_SLEEPS_MS)
    return next((look for look in looks if look >= held), last + -(-(held - last) // 100) * 100)
