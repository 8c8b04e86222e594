"""What stands for an entry with a value that SQLite cannot have: what became of its row in the same group.

A group is applied whole, so nobody sees that the row's later state came early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from capture.postgres import queries
from capture.postgres.images import Image, Images
from shared.errors import Hold
from shared.groups import Op

Became = tuple[Op, tuple[Any, ...]] | None
_GONE = ("d", "k")


class Entry(NamedTuple):
    """One that cannot be read: PostgreSQL's ``seq`` of it, its place in the page, and why."""

    seq: int
    place: int
    op: Op
    image: Image
    trouble: Hold


def stand_ins(
    db: psycopg.Connection[Any], images: Images, entries: Sequence[Entry], decided: Mapping[str, Any]
) -> Iterator[tuple[Entry, Became]]:
    """For each of one table's entries what stands for it, None where nothing does; Hold where nothing can yet."""
    where = {**decided, "seqs": [entry.seq for entry in entries]}
    db.execute("SET LOCAL enable_nestloop = off")  # the change log has no statistics worth the name
    found = db.execute(queries.last_states(images.key_places).encode(), where).fetchall()
    last = {seq: (op, image) for seq, op, image in found}
    for entry in entries:
        yield entry, _became(images, entry, *last.get(entry.seq, (entry.op, None)))


def _became(images: Images, entry: Entry, last: Op, image: Image | None) -> Became:
    """``last`` and ``image`` are the row's last state, without an image where none follows."""
    gone = entry.op in _GONE or last in _GONE
    if image is None and not gone:
        raise entry.trouble
    if not images.can_be_in_sqlite(entry.image):
        if gone:
            return None  # it never came there
        raise entry.trouble
    if entry.op in _GONE or image is None:
        return entry.op, images.read_gone(entry.image)
    return ("d", images.read_gone(image)) if gone else (entry.op, images.read(image))
