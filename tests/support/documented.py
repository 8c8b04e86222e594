"""What docs/metrics.md says of the metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$")


class Described(NamedTuple):
    """One row of the page."""

    name: str
    type: str
    unit: str
    meaning: str
    remedy: str


def described(*headings: str) -> list[Described]:
    """The rows below these headings, all where none is given."""
    text = PAGE.read_text(encoding="utf-8")
    parts = [text.split(f"## {heading}\n")[1].split("\n## ")[0] for heading in headings] or [text]
    return [
        Described(*(word.strip() for word in match.groups()))
        for part in parts
        for line in part.splitlines()
        if (match := _ROW.match(line))
    ]


def documented(*headings: str) -> dict[str, str]:
    """Names with their types."""
    return {row.name: row.type for row in described(*headings)}
