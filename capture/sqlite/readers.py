"""Several readers of one file at once: SQLite reads one query on one core, and a machine has more of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from capture.census import Each
from shared.sqlite.connection import connect

_MOST = 4
Piece = TypeVar("Piece")
Found = TypeVar("Found")


@contextmanager
def side_by_side(path: Path) -> Iterator[Each]:
    """What does a piece of work on each piece, on as many connections as there are cores."""
    count = min(_MOST, os.cpu_count() or 1)
    free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(count):
            free.put(stack.enter_context(closing(connect(path, readonly=True))))
        pool = ThreadPoolExecutor(count, thread_name_prefix="reader")
        stack.callback(pool.shutdown, cancel_futures=True)

        def each(work: Callable[[sqlite3.Connection, Piece], Found], pieces: Iterable[Piece]) -> Iterator[Found]:
            def do(piece: Piece) -> Found:
                db = free.get()
                try:
                    return work(db, piece)
                finally:
                    free.put(db)

            return pool.map(do, pieces)

        yield each
