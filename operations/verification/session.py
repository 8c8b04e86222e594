"""Both sides opened for verification, once it is certain that they belong together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from operations.verification.comparing import Key
from operations.verification.findings import Finding
from operations.verification.history import open_history
from operations.verification.judging import Primary
from operations.verification.record import Place, Verified
from operations.verification.replica import Replica
from operations.verification.settling import Settler
from operations.verification.settling_back import SettlerBack
from operations.verification.source import Source
from operations.verification.view import View, make_view
from shared.errors import BadInput, Stop, SwitchbackError
from shared.log.contract import LogBackend
from shared.postgres.connection import translated
from shared.postgres.ledger import Ledger, read_copied, read_source_schema
from shared.reports import Needed, Verdict, read_needed, send_needed, send_verdict
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

    ``primary`` says which of the two is ahead.  ``ahead`` is the connection that a worker thread reads
    chunks through, ``replica`` the one for everything else.  ``copied`` are the rows that the snapshot
    brought, by table: about how many there are.  ``whole`` says that no table was left out.
    """

    settings: Settings
    primary: Primary
    source: Source
    replica: Replica
    ahead: Replica
    views: dict[str, View]
    copied: dict[str, int]
    whole: bool
    log: Callable[[], LogBackend]
    patience: float

    @property
    def place(self) -> Place:
        """Where the replica stands; histories are told apart by the file, whichever side is the replica."""
        if self.primary == "sqlite":
            return Place.of(self.replica.ledger())
        ledger = self.source.ledger()
        return Place(self.source.incarnation, ledger.epoch, *ledger.position.parts, ledger.seq)

    def need_log_from(self, place: Place, *, anew: bool = True) -> None:
        """Let the embedded log keep what follows that place; unless ``anew``, what was asked for before stays.

        A broker has retention of its own.
        """
        if not self.settings.log.startswith("embedded:") or not self._has_log():
            return
        now_ms = time.time_ns() // 1_000_000
        log = self.log()
        if anew or read_needed(log, now_ms) is None:
            send_needed(log, Needed(place.offset, now_ms))

    def tell(self, verified: Verified) -> None:
        """Let the daemons' metrics say when both sides were compared last, and what came of it; no matter if not."""
        if not self._has_log():
            return
        verdict = Verdict(verified.place.incarnation, verified.ended_at, verified.rows, verified.wrong_rows)
        with suppress(SwitchbackError):
            send_verdict(self.log(), verdict)

    def _has_log(self) -> bool:
        url = self.settings.log
        return not url.startswith("embedded:") or Path(url.removeprefix("embedded:")).exists()

    def verify_keys(self, view: View, keys: Sequence[Key], *, repair: bool = False) -> Outcome:
        """Look at these keys on both sides; with ``repair`` send what differs through the log and look again."""
        settler = self._settler()
        wrong = settler.settle(view, keys)
        if wrong and (fresh := self.refreshed(view)) is not view:  # a column was widened meanwhile
            view, wrong = fresh, settler.settle(fresh, list(wrong))
        if not wrong or not repair:
            return Outcome(list(wrong.values()), 0)
        sent = [found[0].keys for found in wrong.values() if found[0].keys]
        self._resend(view, sent)
        still = settler.settle(view, list(wrong))
        return Outcome(list(still.values()), len(wrong) - len(still))

    def _settler(self) -> Settler | SettlerBack:
        if self.primary == "sqlite":
            return Settler(self.source, self.replica)
        return SettlerBack(self.source, self.replica, self.log, self.settings.stream, self.patience)

    def refreshed(self, view: View) -> View:
        """The table as it is now, which is the session's view of it from now on; the same object if nothing changed."""
        name = view.table.name
        with translated(where=f"table {name}"):
            schema = read_source_schema(self.replica.db, self.settings.stream)
            table = schema.by_name.get(name, view.table) if schema else view.table
            fresh = make_view(self.replica.db, table, utf8=self.source.utf8)
        if (fresh.types, fresh.table) == (view.types, view.table):
            return view
        self.views[name] = fresh
        return fresh

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
        primary = find_primary(source, replica)
        names = select_names([table.name for table in schema.tables], tables, ())
        with translated(where="the target's tables"):
            views = {name: make_view(replica.db, schema.table(name), utf8=source.utf8) for name in names}
        ahead = stack.enter_context(closing(Replica(dsn, settings.stream, patience)))
        counts = {name: rows for name, (rows, _) in copied.items()}
        whole = len(names) == len(schema.tables)
        log = _opened_once(settings, stack)
        yield Session(settings, primary, source, replica, ahead, views, counts, whole, log, patience)


def find_primary(source: Source, replica: Replica) -> Primary:
    """The side that takes writes, by what both say; Stop in the middle of a cutover, when neither does."""
    found: dict[tuple[str, str], Primary] = {("primary", "replica"): "sqlite", ("replica", "primary"): "postgres"}
    roles = source.role, replica.role
    if roles in found:
        return found[roles]
    if roles == ("replica", "replica"):
        what, remedy = "both sides are closed: a cutover is under way", "Let it end, or see `switchback status`"
    else:
        what, remedy = (
            "both sides say that they are the primary",
            "Was one restored from a backup? Stop the application",
        )
    raise Stop(what, remedy=remedy)


def _opened_once(settings: Settings, stack: ExitStack) -> Callable[[], LogBackend]:
    """Gives the log, which is opened when it is first asked for."""

    @cache
    def opened() -> LogBackend:
        return stack.enter_context(closing(open_history(settings)))

    return opened


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
