"""Numbers and names as people read them."""

from __future__ import annotations

_SIDES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


def side_name(side: str) -> str:
    """The database, for people."""
    return _SIDES[side]


def count(number: float) -> str:
    """A number with its thousands apart: 1,234,567."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """4 ms, 3.2 s, 5 min, 2.3 h, 4.0 days: the unit that fits."""
    for limit, scale, unit, digits in (
        (1, 0.001, "ms", 0),
        (120, 1, "s", 1),
        (7_200, 60, "min", 0),
        (172_800, 3_600, "h", 1),
    ):
        if seconds < limit:
            return f"{seconds / scale:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def offsets(first: int, end: int) -> str:
    """Which records a log holds: the first, and the one behind the last."""
    return f"offsets {first} to {end - 1}" if end > first else "empty"


def size(number: float) -> str:
    """Bytes: 812 B, 3.4 MB."""
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number:.0f} B"
