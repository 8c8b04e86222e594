"""Both sides opened for verification, once it is certain that they belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from operations.verification.comparing import Key
from operations.verification.findings import Finding
from operations.verification.replica import Replica
from operations.verification.settling import Settler
from operations.verification.source import Source
from operations.verification.view import View, make_view
from shared.errors import BadInput
from shared.postgres.connection import translated
from shared.postgres.ledger import Ledger, read_copied, read_source_schema
from shared.settings import Settings
from shared.sqlite.connection import connect
from shared.sqlite.connection import translated as sqlite_errors
from shared.sqlite.resend import resend
from shared.sqlite.selection import select_names

PATIENCE_SECONDS = 60.0
"""How long verification waits for the replica to come up to what it read from the source."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a verification works with.

    ``ahead`` is the connection that a worker thread reads chunks through, ``replica`` the one for
    everything else.  ``copied`` are the rows that the snapshot brought, by table: about how many there are.
    ``whole`` says that no table was left out.
    """

    settings: Settings
    source: Source
    replica: Replica
    ahead: Replica
    views: dict[str, View]
    copied: dict[str, int]
    whole: bool

    def verify_keys(self, view: View, keys: Sequence[Key], *, repair: bool = False) -> Outcome:
        """Look at these keys on both sides; with ``repair`` send what differs through the log and look again."""
        settler = Settler(self.source, self.replica)
        wrong = settler.settle(view, keys)
        if not wrong or not repair:
            return Outcome(list(wrong.values()), 0)
        sent = [found[0].keys for found in wrong.values() if found[0].keys]
        self._resend(view, sent)
        still = settler.settle(view, list(wrong))
        return Outcome(list(still.values()), len(wrong) - len(still))

    def _resend(self, view: View, keys: Sequence[Key]) -> None:
        path = self.settings.source
        with closing(connect(path, busy_seconds=self.settings.busy_seconds)) as db, sqlite_errors(path):
            resend(db, view.table, keys)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is wrong with some keys, row by row, and how many rows a repair has put right."""

    wrong: list[list[Finding]]
    repaired: int


@contextmanager
def open_session(
    settings: Settings, tables: Sequence[str] = (), patience: float = PATIENCE_SECONDS
) -> Iterator[Session]:
    """Open both sides for those tables (all, if empty; ``*`` and ``?`` match).

    Raises BadInput where there is nothing to compare: no ledger, a copy that is not finished, another source.
    """
    dsn = settings.target.get_secret_value()
    with ExitStack() as stack:
        replica = stack.enter_context(closing(Replica(dsn, settings.stream, patience)))
        ledger = replica.ledger()
        with translated(where="the ledger"):
            schema = read_source_schema(replica.db, settings.stream)
            copied = read_copied(replica.db, settings.stream)
        if schema is None or not ledger.copied:
            done = sum(1 for _, done in copied.values() if done)
            what = f"the copy is not finished: {done} of {len(copied)} tables"
            remedy = "Wait until `switchback status` says that it is in step"
            raise BadInput(what, where=f"stream {settings.stream}", remedy=remedy)
        source = stack.enter_context(closing(Source(settings.source, schema, settings.busy_seconds)))
        _check_pair(settings, ledger, source)
        names = select_names([table.name for table in schema.tables], tables, ())
        with translated(where="the target's tables"):
            views = {name: make_view(replica.db, schema.table(name), utf8=source.utf8) for name in names}
        ahead = stack.enter_context(closing(Replica(dsn, settings.stream, patience)))
        counts = {name: rows for name, (rows, _) in copied.items()}
        yield Session(settings, source, replica, ahead, views, counts, whole=len(names) == len(schema.tables))


def _check_pair(settings: Settings, ledger: Ledger, source: Source) -> None:
    if not source.incarnation:
        what = "capture is not installed in the source"
        raise BadInput(what, where=str(settings.source), remedy="Run `switchback run` first")
    if source.incarnation != ledger.incarnation:
        what = "the target was made from another source than this file"
        raise BadInput(what, where=str(settings.source), remedy="Give the file that capture works on")
    highest = source.high()
    if highest < ledger.seq:
        what = f"the replica stands at change {ledger.seq}, but the source at {highest}: it went back in time"
        raise BadInput(what, where=str(settings.source), remedy="Restore the newer file, or copy again")
