"""Keys whose rows seemed to differ, looked at again until it is certain: a difference is never excused.

The two sides are read one after the other, so PostgreSQL may stand further on: SQLite's row is as of
change ``high``, PostgreSQL's as of change ``applied``.  The change log tells what happened in between:
its last entry for a key is the key's state at ``applied``, and where it has none, the row at ``high``
is.  So one look settles a key even if it changes a thousand times a second.  Only where those entries
were pruned already must both sides be read anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from operations.verification.comparing import Key, Row
from operations.verification.findings import Finding, unsettled
from operations.verification.judging import explain, wrong_keys
from operations.verification.replica import Replica
from operations.verification.source import Source
from operations.verification.view import View

LOOKS = 8
_PAGE = 1_000
_PAUSE_SECONDS = 0.05


class Settler:
    """Looks at single keys on both sides; uses its own connections."""

    def __init__(self, source: Source, replica: Replica) -> None:
        self._source = source
        self._replica = replica

    def settle(self, view: View, keys: Sequence[Key]) -> dict[Key, list[Finding]]:
        """What is wrong with each of these keys; those that are right are left out."""
        found: dict[Key, list[Finding]] = {}
        start = 0
        while start < len(keys):
            wrong, count = self._settle_page(view, keys[start : start + _PAGE])
            found |= wrong
            start += count
        return found

    def _settle_page(self, view: View, keys: Sequence[Key]) -> tuple[dict[Key, list[Finding]], int]:
        """What is wrong with the first of these keys, and with how many: as many as fit into memory."""
        wrong = list(keys)
        for look in range(LOOKS):
            mine, count, high = self._source.read_rows(view, keys)
            keys = keys[:count]
            theirs, applied = self._replica.read_rows(view, high, keys)
            exact = self._bring_forward(view, mine, high, applied)
            wrong = wrong_keys(keys, mine, theirs)
            if exact:
                return {key: explain(view, key, mine.get(key), theirs.get(key)) for key in wrong}, len(keys)
            time.sleep(_PAUSE_SECONDS * 2**look)
        return {key: unsettled(view.table.name, key) for key in wrong}, len(keys)

    def _bring_forward(self, view: View, rows: dict[Key, Row], high: int, applied: int) -> bool:
        """Put the changes in between into SQLite's rows; False where they are gone."""
        if applied <= high:
            return True
        changes = self._source.read_changes(high, applied, frozenset((view.table.name,)))
        if changes is None:
            return False
        places = view.table.key_places
        for change in changes:
            key = tuple(change.values[place] for place in places)
            rows.pop(key, None)
            if change.op in "cu":
                rows[key] = change.values
        return True
