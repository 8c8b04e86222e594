"""What a mistyped name was probably meant to be.  Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_NEAR = 3
_SHOWN = 10


def nearest(name: str, known: Sequence[str]) -> str:
    """``Did you mean orders or order_items?``; the known names, or some of them, where none is near."""
    spellings = {known_name.lower(): known_name for known_name in reversed(known)}
    if near := difflib.get_close_matches(name.lower(), list(spellings), n=_NEAR):
        return f"Did you mean {' or '.join(spellings[found] for found in near)}?"
    if not known:
        return "There is none at all"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"There are {', '.join(known[:_SHOWN])}{more}"
