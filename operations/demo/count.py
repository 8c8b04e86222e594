"""Counts what the demo application was acknowledged in the databases that it wrote to.

    python -m operations.demo.count --ledger DIR app.db postgresql://...

For writers that have stopped, and databases in step.  Exit code 1 if an acknowledged write is missing or doubled
in one of them, or one is there that was refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from operations.demo.ledger import ROWS_SQL, Comparison, Ledger, compare, read_ledger
from operations.demo.target import Row, open_target
from shared.errors import BadInput


def count(ledger: Ledger, addresses: Sequence[str]) -> list[Comparison]:
    """What each database holds against the ledger; BadInput for one that cannot be opened."""
    return [compare(ledger, _rows(address)) for address in addresses]


def _rows(address: str) -> list[Row]:
    with closing(open_target(address)) as target:
        return target.run(ROWS_SQL)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Count acknowledged writes of the demo application.")
    parser.add_argument("--ledger", type=Path, required=True, help="folder with the ledger of acknowledged writes")
    parser.add_argument("databases", nargs="+", metavar="DATABASE", help="a SQLite file, or a DSN")
    told = parser.parse_args()
    ledger = read_ledger(told.ledger)
    try:
        found = count(ledger, told.databases)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{len(ledger.acknowledged):,} writes acknowledged; longest pause {ledger.longest_pause:.0f} ms\n")
    for number, one in enumerate(found, start=1):  # not by its address, which may have a password in it
        lost, doubled, ghosts = len(one.lost), len(one.doubled), len(one.ghosts)
        sys.stdout.write(f"database {number}: {lost} lost, {doubled} doubled, {ghosts} that were refused\n")
    sys.exit(0 if all(one.ok for one in found) and ledger.acknowledged else 1)


if __name__ == "__main__":
    main()
