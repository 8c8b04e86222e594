"""Rows that a sequence of PostgreSQL's numbers."""

from __future__ import annotations

from typing import Any

import psycopg


def insert(db: psycopg.Connection[Any], table: str) -> int:
    """The number that the new row was given."""
    row = db.execute(f"INSERT INTO {table} (note) VALUES ('new') RETURNING *".encode()).fetchone()
    assert row
    return int(row[0])
