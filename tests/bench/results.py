"""From the values of several runs to lines of a table: medians with their range, never the best one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One measured thing: a value for each run, and what it was to be ("" where nothing was asked)."""

    what: str
    values: Sequence[float]
    unit: str
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """What, median, range, runs, goal."""
        spread = f"{_number(min(self.values))} to {_number(max(self.values))}" if len(self.values) > 1 else ""
        return self.what, f"{_number(self.median)} {self.unit}", spread, str(len(self.values)), self.goal


def ratio(what: str, left: Line, right: Line, goal: str = "") -> Line:
    """How many times ``right`` goes into ``left``, run by run: neighbours in time have the same machine."""
    pairs = zip(left.values, right.values, strict=True)
    return Line(what, [a / b for a, b in pairs], "x", goal)


def rate(what: str, count: int, seconds: Line, unit: str, goal: str = "") -> Line:
    """So many in these seconds."""
    return Line(what, [count / value for value in seconds.values], unit, goal)


HEAD = ("what", "median", "range", "runs", "goal")


def table(lines: Sequence[Line]) -> str:
    """A Markdown table."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(line.cells for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
