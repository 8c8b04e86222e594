"""How long an attempt made writers wait, and how long the next one would.  Pure."""

from __future__ import annotations

from shared.control.fold import Flip, State

USUAL_SECONDS = 0.15
"""A pause without anything to drain, where no attempt has shown another (docs/benchmarks.md)."""

_SLOW = 1_000.0  # changes a second: what any replica applies, where its speed was not seen


def held_ms(ended: Flip) -> int | None:
    """How long writers were held, by the programs' clocks; None where they never were."""
    held = ended.attempt.held
    return None if held is None else max(0, ended.ended_ms - held.since_ms)


def estimate_pause(state: State, changes: int, drain_rate: float) -> float:
    """Seconds: what drains while writers wait, and what the last attempt took.

    ``drain_rate`` is in changes a second, 0 where it is not known.
    """
    last = held_ms(state.last) if state.last and state.last.opened else None
    return changes / (drain_rate or _SLOW) + (USUAL_SECONDS if last is None else last / 1000)
