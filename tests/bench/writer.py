"""The application of a measurement: a process of its own that writes the mix, and tells what it committed when.

    python -m tests.bench.writer SOURCE --tables a,b --seconds 10 [--rate CHANGES_A_SECOND] [--size CHANGES_A_COMMIT]
                                        [--count CHANGES] [--commits FILE] [--part N] [--inserts 1]

Values are made before the clock starts.  At the end a line of JSON says how many changes and commits
there were, and when the first began and the last ended, by ``perf_counter``: one clock for the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from tests.bench import data
from tests.bench.processes import Program, python


class Written(msgspec.Struct, frozen=True):
    """What a writer did."""

    changes: int
    began: float
    ended: float


def start(source: Path, *tables: str, **options: object) -> Program:
    """Start a writer; ``options`` are its flags."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return Program(python("tests.bench.writer", str(source), "--tables", ",".join(tables), *words))


def result(writer: Program) -> Written:
    """Wait for its end."""
    return msgspec.json.decode(writer.wait(), type=Written)


def main() -> None:
    """The writer's process."""
    arguments = _parser().parse_args()
    tables = arguments.tables.split(",")
    events = data.inserts_forever(tables[0]) if arguments.inserts else data.mix_forever(tables, arguments.part)
    events = itertools.chain([next(events)], events)  # all values are made by now
    with closing(data.connect(arguments.source)) as db:
        commits = _write(db, events, arguments)
    if arguments.commits:
        arguments.commits.write_text(json.dumps(commits))
    written = Written(len(commits[1:]) * arguments.size, commits[0], commits[-1])
    sys.stdout.write(msgspec.json.encode(written).decode() + "\n")


def _write(
    db: sqlite3.Connection, events: Iterator[tuple[str, data.Event]], arguments: argparse.Namespace
) -> list[float]:
    """The time at which this began, then that of each commit."""
    size, pause = arguments.size, arguments.size / arguments.rate if arguments.rate else 0.0
    began = now = time.perf_counter()
    times = [began]
    while now - began < arguments.seconds and (len(times) - 1) * size < arguments.count:
        _sleep_until(began + (len(times) - 1) * pause)
        db.execute("BEGIN IMMEDIATE")
        for table, event in itertools.islice(events, size):
            data.perform(db, table, event)
        db.execute("COMMIT")
        now = time.perf_counter()
        times.append(now)
    return times


def _sleep_until(due: float) -> None:
    left = due - time.perf_counter()
    if left > 0:
        time.sleep(left)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("--tables", required=True)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--count", type=int, default=10**12)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--size", type=int, default=10)
    parser.add_argument("--commits", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--inserts", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
