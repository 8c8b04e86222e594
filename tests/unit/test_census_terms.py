"""What the census' quick terms say of a value is what typeof says of it."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from capture.census import _UNUSUAL

VALUES: list[Any] = [
    *(None, 0, 1, -1, 2**63 - 1, -(2**63), 1.5, -1.5, 1e20, -1e20, 9.3e18, 5e-324, float("inf"), float("-inf")),
    *("", "a", "12", "1.5", "ü", b"", b"12", b"\xff"),
]


@pytest.mark.parametrize(("affinity", "usual"), [("INTEGER", "integer"), ("REAL", "real"), ("TEXT", "text")])
def test_the_quick_term_agrees_with_typeof(affinity: str, usual: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE t (c {affinity})")
    db.executemany("INSERT INTO t VALUES (?)", [(value,) for value in VALUES])
    term = _UNUSUAL[affinity].format(c="c")
    rows = db.execute(f"SELECT typeof(c), c, coalesce({term}, 0) FROM t").fetchall()
    assert len(rows) == len(VALUES)
    assert [row for row in rows if bool(row[2]) != (row[0] not in (usual, "null"))] == []
