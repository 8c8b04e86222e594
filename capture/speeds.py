"""Rates out of numbers that only grow, over the last ten seconds.  Pure."""

from __future__ import annotations

from collections import deque

_SPAN_SECONDS = 10.0


class Speed:
    """How fast a number grows; one that went back begins anew."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def note(self, now: float, value: float) -> float:
        """Take in the number of this moment; how much it grew a second, 0 at first."""
        seen = self._seen
        if seen and value < seen[-1][1]:
            seen.clear()
        seen.append((now, value))
        while seen[0][0] < now - _SPAN_SECONDS:
            seen.popleft()
        (began, first), (ended, last) = seen[0], seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0
