"""What the figures were measured on: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

_BUSY = 0.5  # load of others, in cores, from which on figures are doubtful


def describe() -> list[str]:
    """Facts in words, one a line."""
    return [
        f"{os.cpu_count()} cores ({_processor()}), {_memory_gb():.0f} GB of memory, {platform.system()}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, psycopg {version('psycopg')}",
    ]


def warn_if_busy() -> str:
    """A warning where others use the machine, or ""."""
    load = os.getloadavg()[0]
    return f"the machine was busy when this began (load {load:.1f}): figures are too low" if load > _BUSY else ""


def versions_of(*commands: str) -> str:
    """What these programs say of themselves, those that are not installed left out."""
    return ", ".join(_version_of(command) for command in commands if shutil.which(command))


def _version_of(command: str) -> str:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    said = (done.stdout or done.stderr).splitlines()
    return said[0].replace('"', "") if said else command


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
