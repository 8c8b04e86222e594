"""Passwords taken out of whatever is shown: DSNs in logs, in errors, on the screen."""

from __future__ import annotations

import re

_IN_ADDRESS = re.compile(r"(\w[\w+.-]*://[^:@/\s]*):\S*@")
_IN_QUERY = re.compile(r"(?i)(\w*password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)")
HIDDEN = "***"


def redact(text: str) -> str:
    """The text with every password of an address, a conninfo string or a query replaced by stars."""
    if "@" in text:
        text = _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
    if "assword" in text.lower():
        text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    return text
