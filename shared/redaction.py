"""Passwords taken out of whatever is shown: DSNs in logs, in errors, on the screen."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

_PASSWORD = "".join(f"(?:{letter}|%{ord(letter):x}|%{ord(letter.upper()):x})" for letter in "password")
"""An option's name in an address may be written with %, whole or in part."""
_IN_ADDRESS = re.compile(r"\w[\w+.-]*://[^:@/\s]*:(\S*)@")
_AS_OPTION = re.compile(
    rf"[?&](?:\w|%[0-9a-f]{{2}})*?{_PASSWORD}=([^\s&]*)|password\s*=\s*('(?:[^'\\]|\\.)*(?:'|\Z)|(?:[^\s\\]|\\.)+)",
    re.IGNORECASE | re.DOTALL,
)


def redact(text: str) -> str:
    """The text with every password of an address, a conninfo string or a query replaced by stars."""
    found: list[re.Match[str]] = []
    if "@" in text:
        found += _IN_ADDRESS.finditer(text)
    if "=" in text and ("%" in text or "assword" in text.lower()):
        found += _AS_OPTION.finditer(text)
    return _without(text, sorted(match.span(match.lastindex or 0) for match in found)) if found else text


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Where they overlap, all that any of them covers is hidden: nobody knows which of them is meant."""
    parts, place = [], 0
    for first, end in spans:
        if place <= first:
            parts += [text[place:first], HIDDEN if first < end else ""]
        place = max(place, end)
    return "".join([*parts, text[place:]])
