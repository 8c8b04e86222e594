"""Keys of many tables, looked at on both sides in one read each: what the look inside the hold is made of.

All that can be done before is: connections are open, statements prepared, tables known.  PostgreSQL gets
its queries in one go and answers in one; so the time goes with the keys, not with the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from operations.verification.comparing import Key, Row, by_key
from operations.verification.judging import wrong_keys
from operations.verification.loading import prepare, tolerate
from operations.verification.selects import Selects
from operations.verification.session import Session
from operations.verification.view import View
from shared.groups import Position
from shared.postgres.connection import connect, translated

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LEDGER = "SELECT lease, number, log_offset FROM switchback.ledger WHERE stream = %s"

Keys = Mapping[str, Sequence[Key]]


class Difference(NamedTuple):
    """A key whose rows are not the same; None stands for no row."""

    view: View
    key: Key
    mine: Row | None
    theirs: Row | None


class Looked(NamedTuple):
    """What a look showed: where the replica stood, the keys that it came to, and those of them that differ."""

    applied: Position
    keys: Keys
    wrong: list[Difference]


class Together:
    """Reads both sides of a session; one thread at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        stream = session.settings.stream
        self._db = connect(session.settings.target.get_secret_value(), application_name=f"switchback-verify {stream}")
        with translated(where="the target"):
            prepare(self._db)
            tolerate(self._db.adapters)
            self._db.execute("SET plan_cache_mode = force_generic_plan")  # planned once, beforehand
        self._queries: dict[str, tuple[View, bytes]] = {}

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def warm(self) -> None:
        """Prepare the statements of all tables."""
        self._read_postgres({name: [] for name in self._session.views})

    def look(self, keys: Keys) -> Looked:
        """The rows of these keys as they are now on either side; of very large rows not all."""
        mine: dict[str, dict[Key, Row]] = {}
        looked: dict[str, Sequence[Key]] = {}
        with self._session.source.snapshot() as ledger:
            for name, sought in keys.items():
                mine[name], count = self._session.source.rows_of(self._session.views[name], sought)
                looked[name] = sought[:count]
        theirs, applied = self._read_postgres(looked)
        if self._session.primary == "postgres":
            applied = ledger.position
        return Looked(applied, looked, self._differences(looked, mine, theirs))

    def applied(self) -> Position:
        """Where the replica stands."""
        if self._session.primary == "postgres":
            return self._session.source.ledger().position
        with translated(where="the ledger"):
            return _position(self._db.execute(_LEDGER, (self._session.settings.stream,)))

    def _differences(
        self, keys: Keys, mine: Mapping[str, Mapping[Key, Row]], theirs: Mapping[str, Mapping[Key, Row]]
    ) -> list[Difference]:
        views = self._session.views
        return [
            Difference(views[name], key, mine[name].get(key), theirs[name].get(key))
            for name, looked in keys.items()
            for key in wrong_keys(looked, mine[name], theirs[name])
        ]

    def _read_postgres(self, keys: Keys) -> tuple[dict[str, dict[Key, Row]], Position]:
        """The rows by table, and the ledger's position, in one snapshot."""
        with translated(where="the target's tables"):
            try:
                return self._read_at_once(keys)
            except errors.FeatureNotSupported:  # a column got another type: the prepared statements are of no use
                self._end()
                return self._read_at_once(keys)
            finally:
                self._end()

    def _end(self) -> None:
        if not self._db.closed and self._db.info.transaction_status != TransactionStatus.IDLE:
            self._db.execute("ROLLBACK")

    def _read_at_once(self, keys: Keys) -> tuple[dict[str, dict[Key, Row]], Position]:
        db, views = self._db, self._session.views
        with db.pipeline():
            db.execute(_BEGIN)
            ledger = db.execute(_LEDGER, (self._session.settings.stream,), prepare=True)
            answers = {name: self._ask(views[name], sought) for name, sought in keys.items()}
            db.execute("COMMIT")
            position = _position(ledger)
            return {name: _rows(views[name], answer) for name, answer in answers.items()}, position

    def _ask(self, view: View, keys: Sequence[Key]) -> psycopg.Cursor[Any]:
        return self._db.execute(self._query(view), view.keys_to_replica(keys), prepare=True, binary=True)

    def _query(self, view: View) -> bytes:
        known = self._queries.get(view.table.name)
        if known is None or known[0] is not view:
            known = self._queries[view.table.name] = (view, Selects(view).sought.as_bytes(self._db))
        return known[1]


def _position(answer: psycopg.Cursor[Any]) -> Position:
    row = answer.fetchone()
    return Position(*row) if row else Position()


def _rows(view: View, answer: psycopg.Cursor[Any]) -> dict[Key, Row]:
    columns = view.columns_from_replica(answer.fetchall())
    rows: list[Row] = list(zip(*columns, strict=True))
    return by_key(rows, view.table.key_places)
