"""The versions of what is kept: what an older program wrote is read, what a newer one wrote is left alone.

Each place says its own: the tables in PostgreSQL (``switchback.format``), the notes in the SQLite file (``format``),
the embedded log's file (``user_version``), each record of the spine (header ``v``), of the control stream (header
``switchback-control``) and each report (``version``).  A number is raised only where an older program would go wrong.
"""

from __future__ import annotations

from shared.errors import Stop


def check_version(what: str, found: int, known: int, where: str = "") -> None:
    """Stop where ``found`` is newer than what this program knows; to be called before anything is changed."""
    if found > known:
        said = f"{what} of a newer version of Switchback (format {found}, this program knows {known})"
        raise Stop(said, where=where, remedy="Start that version again, or a later one; nothing was changed")


def as_number(text: str | bytes) -> int:
    """A version as it is written; 0 where it is no number."""
    return int(text) if text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004  (no version is that long)
