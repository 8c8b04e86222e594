"""pgloader, the tool that most would take instead: one copy, no changes after it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.processes import Finished, run

_DEFAULTS = "include drop, create tables, create indexes, reset sequences"
BEST = f"{_DEFAULTS}, batch rows = 25000, prefetch rows = 50000"
DEFAULTS = _DEFAULTS


def installed() -> bool:
    """Whether it is here (Debian package ``pgloader``)."""
    return shutil.which("pgloader") is not None


def load(source: Path, dsn: str, options: str, folder: Path) -> Finished:
    """Copy the file into the database, indexes included."""
    order = folder / "pgloader.load"
    order.write_text(f"LOAD DATABASE FROM sqlite://{source}\nINTO {dsn}\nWITH {options};\n")
    return run(["pgloader", order])
