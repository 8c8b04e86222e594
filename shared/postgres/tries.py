"""Locks that are asked for in short tries, for all who come meanwhile queue behind each.

A writer that has one table and wants another that is locked already can only end when the try does.  So each is over
before PostgreSQL would look for a deadlock (``deadlock_timeout``, usually a second), which would end that writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import psycopg

_DEADLOCK_MS = "SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'"


def short_tries(db: psycopg.Connection[Any], wanted_ms: Sequence[int]) -> Iterator[int]:
    """How long each may last, in ms, the last one again and again; never more than half of ``deadlock_timeout``."""
    row = db.execute(_DEADLOCK_MS).fetchone()
    most = max(1, row[0] // 2) if row else wanted_ms[0]
    return (min(ms, most) for ms in chain(wanted_ms, repeat(wanted_ms[-1])))
