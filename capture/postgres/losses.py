"""Whether PostgreSQL still has what was published: a restored server, or a standby that took over, may lack commits.

What such a server has is a prefix of the order of commits.  So its checkpoint is a witness: what was read before that
was saved is there.  What was published behind it is compared, by a sum over the entries that grows with each group and
stands in its header.  No single entry would do, for neither ``seq`` nor ``xid`` is the order of commits: the last one
may be there, and another one of its group, or of the group before, not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from msgspec import structs

from capture.postgres import queries
from capture.progress import Progress, decode_progress
from shared.errors import SourceRestored

LOST = (
    "Was PostgreSQL restored, or did a standby take over that lacks commits? Bring the newer server back;"
    ' where there is none, docs/when-it-fails.md says what is left, under "PostgreSQL lost commits"'
)
_WIDTH = 2**48


def grown(check: int, more: int) -> int:
    """The sum with that of more entries."""
    return (check + more) % _WIDTH


def check_nothing_lost(db: psycopg.Connection[Any], where: Mapping[str, Any], at: Progress) -> Progress:
    """The progress, with its sum where a version before left that out; SourceRestored where entries are missing.

    A checkpoint without a sum says nothing, nor does that of another capture, which has taken over.
    """
    saved, since = _look(db, where, at)
    if saved is None or (saved.horizon and not saved.check):
        return at
    found = grown(saved.check, since)
    if at.horizon and not at.check:
        return structs.replace(at, check=found)
    if found != at.check:
        what = f"changes up to {at.seq} were published, and PostgreSQL's change log lacks some: commits were lost"
        raise SourceRestored(what, remedy=LOST)
    return at


def _look(db: psycopg.Connection[Any], where: Mapping[str, Any], at: Progress) -> tuple[Progress | None, int]:
    """The checkpoint and the sum since, both as of one moment: another capture may take over, save and prune."""
    db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        row = db.execute(queries.CHECKPOINT, where).fetchone()
        if row is None:
            return None, 0
        saved, published = decode_progress(row[0]), {"published": str(at.published), "published_floor": at.floor}
        since = db.execute(queries.SINCE, {**where, **queries.beyond(saved.published, saved.floor), **published})
        return saved, int((since.fetchone() or [0])[0])
    finally:
        if not db.closed:
            db.execute("ROLLBACK")
