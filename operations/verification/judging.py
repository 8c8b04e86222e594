"""Two rows of one key against each other, and what is to be said where they are not the same.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from operations.verification.comparing import Key, Row, same
from operations.verification.findings import Finding, Foreign, differs, extra, missing
from operations.verification.view import View

Primary = Literal["sqlite", "postgres"]
"""The database that the application writes to; the other one is the replica."""


def wrong_keys(keys: Sequence[Key], mine: Mapping[Key, Row], theirs: Mapping[Key, Row]) -> list[Key]:
    """Those of the keys whose rows in SQLite (``mine``) and in PostgreSQL (``theirs``) are not the same."""
    return [key for key in keys if not _equal(key, mine.get(key), theirs.get(key))]


def explain(view: View, key: Key, mine: Row | None, theirs: Row | None, primary: Primary = "sqlite") -> list[Finding]:
    """The findings for a key whose rows differ; one is missing where the replica lacks it."""
    name, names = view.table.name, view.table.names
    if mine is not None and theirs is not None:
        return differs(name, key, names, *((mine, theirs) if primary == "sqlite" else (theirs, mine)))
    only_in = "postgres" if mine is None else "sqlite"
    reason = ""
    if _foreign(key):
        reason = "its key is none that SQLite can hold"
    elif theirs is None and view.key_to_replica(key) is None:
        reason = "its key does not fit the type in PostgreSQL"
    return missing(name, key, reason) if only_in == primary else extra(name, key, reason)


def _equal(key: Key, mine: Row | None, theirs: Row | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs and not _foreign(key)
    return same(mine, theirs)


def _foreign(key: Sequence[object]) -> bool:
    return any(isinstance(value, Foreign) for value in key)
