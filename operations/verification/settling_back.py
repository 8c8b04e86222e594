"""Keys whose rows seemed to differ while PostgreSQL is the primary: the mirror of ``settling``, exact in one look.

PostgreSQL's row is read first, with the snapshot in which it is seen.  Once SQLite has applied a group
that holds everything in that, SQLite's row is read with its ledger.  What
came in between is in the spine: the last image of a key in the groups that PostgreSQL's row may lack,
up to the ledger's, is what the key's row must be there; where the spine has none, PostgreSQL's row is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from operations.verification.comparing import Key, Row
from operations.verification.findings import Finding
from operations.verification.history import Group, History
from operations.verification.judging import explain, wrong_keys
from operations.verification.replica import Replica
from operations.verification.source import Source
from operations.verification.view import View
from shared.errors import Retry
from shared.groups import Change
from shared.log.contract import LogBackend
from shared.postgres.snapshots import Snapshot

_PAGE = 1_000
_POLL_SECONDS = 0.05


class _Image(NamedTuple):
    key: Key
    row: Row | None


class SettlerBack:
    """Looks at single keys on both sides; ``log`` is opened when it is needed."""

    def __init__(
        self, source: Source, replica: Replica, log: Callable[[], LogBackend], stream: str, patience: float
    ) -> None:
        self._source = source
        self._replica = replica
        self._log = log
        self._stream = stream
        self._patience = patience

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
        deadline = time.monotonic() + self._patience
        after = self._source.ledger().position
        theirs, seen = self._replica.read_primary(view, keys)
        history = History(self._log(), self._stream, after, _picker(view, keys))
        groups: list[Group[_Image]] = []
        number = self._find_published(history, groups, seen, deadline)
        self._await(lambda: self._source.ledger().number >= number, f"group {number} was not applied", deadline)
        mine, count, applied = self._source.read_applied(view, keys)
        while history.position.number < applied.number:
            what = f"the log does not bring group {applied.number}, which SQLite has applied"
            self._check(deadline, what)
            groups += history.read(_POLL_SECONDS)
        _bring_forward(theirs, groups, applied.number)
        keys = keys[:count]
        wrong = wrong_keys(keys, mine, theirs)
        return {key: explain(view, key, mine.get(key), theirs.get(key), "postgres") for key in wrong}, count

    def _find_published(self, history: History[_Image], groups: list[Group[_Image]], seen: str, deadline: float) -> int:
        """The number of a group behind all changes that were seen; reads on until there is one."""
        while True:
            published, number = self._replica.read_published()
            if self._replica.has_published(seen, published):
                return number
            came = history.read(_POLL_SECONDS)
            groups += came
            for group in came:
                meta = group.header.meta
                published = Snapshot.of(meta.get("snapshot", ""), meta.get("horizon", ""))
                if self._replica.has_published(seen, published):
                    return group.position.number
            self._check(deadline, "changes that were seen in PostgreSQL were not published")

    def _await(self, there: Callable[[], bool], what: str, deadline: float) -> None:
        while not there():
            self._check(deadline, what)
            time.sleep(_POLL_SECONDS)

    def _check(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            remedy = "Look at `switchback status`: capture and sink must run"
            raise Retry(f"{what} within {self._patience:.0f} s", where=f"stream {self._stream}", remedy=remedy)


def _bring_forward(rows: dict[Key, Row], groups: Sequence[Group[_Image]], number: int) -> None:
    for group in groups:
        if group.position.number <= number:
            for key, row in group.picked:
                rows.pop(key, None)
                if row is not None:
                    rows[key] = row


def _picker(view: View, keys: Sequence[Key]) -> Callable[[list[Change]], list[_Image]]:
    wanted, places, name = set(keys), view.table.key_places, view.table.name

    def pick(changes: list[Change]) -> list[_Image]:
        return [
            _Image(key, change.values if change.op in "cu" else None)
            for change in changes
            if change.table == name and (key := tuple(change.values[place] for place in places)) in wanted
        ]

    return pick
