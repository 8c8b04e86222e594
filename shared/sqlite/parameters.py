"""Keys as parameters.  A text that is not UTF-8 cannot be bound as one: its bytes are, and the statement casts them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from shared.errors import Stop
from shared.groups import RawText, Value


def marks(key: Sequence[Value]) -> list[str]:
    """The terms that stand for a key's values in a statement: ?1, ?2, ...; a cast's affinity is taken off by the +."""
    return [
        f"+CAST(?{place} AS TEXT)" if isinstance(value, RawText) else f"?{place}"
        for place, value in enumerate(key, start=1)
    ]


def has_raw(key: Sequence[Value]) -> bool:
    """Whether the key needs a statement of its own."""
    return RawText in map(type, key)


def bindable(db: sqlite3.Connection, key: Sequence[Value]) -> tuple[Value, ...]:
    """The values to bind.  Stop where SQLite would take the bytes for texts in another encoding."""
    if not has_raw(key):
        return tuple(key)
    encoding = db.execute("PRAGMA encoding").fetchone()[0]
    if encoding != "UTF-8":
        what = f"a key is a text that is no valid {encoding}, and cannot be looked up"
        remedy = "Mend these keys, or leave the table out with `exclude`"
        raise Stop(what, where=f"key {tuple(key)!r}", remedy=remedy)
    return tuple(value.raw if isinstance(value, RawText) else value for value in key)
