"""The switch as metrics: who is primary, which phase, how long the last pause was; fed by the control stream."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from shared.control.fold import Attempt, State
from shared.control.pause import held_ms
from shared.metrics import NOT_KNOWN
from shared.primary_page import PHASES, phase_of

SIDES = ("sqlite", "postgres")


class PrimaryMetrics:
    """What every daemon knows of the switch; the numbers are NaN until it has looked at the control stream."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._epoch = Gauge(
            "switchback_epoch", "How often the sides were changed; odd: PostgreSQL is the primary.", registry=registry
        )
        self._primary = Gauge("switchback_primary", "1 for the side that takes writes.", ["side"], registry=registry)
        self._phase = Gauge("switchback_phase", "1 for the phase that the switch is in.", ["phase"], registry=registry)
        self._switched = Gauge(
            "switchback_last_switch_timestamp_seconds", "When the sides were last changed.", registry=registry
        )
        self._pause = Gauge(
            "switchback_last_pause_seconds", "For how long the last change of sides held writers.", registry=registry
        )
        self._steps = Gauge(
            "switchback_switch_step_timestamp_seconds",
            "When the step of the last attempt was recorded.",
            ["step"],
            registry=registry,
        )
        self._attempt = ""
        for gauge in (self._epoch, self._switched, self._pause):
            gauge.set(NOT_KNOWN)

    def update(self, state: State) -> None:
        """Take in what the control stream says."""
        phase = phase_of(state)
        for side in SIDES:
            self._primary.labels(side).set(side == state.primary)
        for name in PHASES:
            self._phase.labels(name).set(name == phase)
        self._switched.set(state.opened_ms / 1000)
        last = state.last
        if last and last.opened:
            self._pause.set((held_ms(last) or 0) / 1000)
        attempt = state.attempt or (last.attempt if last else None)
        if attempt:
            self._set_steps(attempt)
        self._epoch.set(state.epoch)  # the last one: who scrapes meanwhile and sees it sees what belongs to it

    def _set_steps(self, attempt: Attempt) -> None:
        if attempt.id != self._attempt:
            self._steps.clear()
            self._attempt = attempt.id
        for step, at_ms in attempt.times.items():
            self._steps.labels(step.lower()).set(at_ms / 1000)
