"""``switchback demo`` as a stranger runs it, but smaller: there, back, and every write counted on both sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command import Command

COUNTED = re.compile(r"([\d,]+) writes acknowledged")
MOVED = re.compile(r"Moved with a write pause of \d+ ms, moved back with \d+ ms; equal, 0 writes lost\.")


@pytest.mark.slow
def test_the_demo_goes_there_and_back_and_counts_every_write(tmp_path: Path) -> None:
    said = Command(tmp_path)("demo", "--rows", "3000", "--rate", "20", "--seconds", "3")
    assert said.code == 0, said.out + said.errors
    assert "PostgreSQL is the primary now: write pause" in said.out
    assert "SQLite is the primary now: write pause" in said.out
    for side in ("SQLite", "PostgreSQL"):
        assert f"{side}: 0 writes lost, 0 doubled, 0 that were refused" in said.out
    counted = COUNTED.search(said.out)
    assert counted
    assert int(counted[1].replace(",", "")) > 0
    assert MOVED.search(said.out), said.out
    assert not said.errors
