"""The keys that changed lately and are not yet seen equal: so that inside the hold few are left to look at.

The set is fed from the spine alone, in either direction.  A key leaves it when its rows are equal and the
replica, in the same read, has applied the last group that is known to have changed it; a later change
comes in a later group and puts it in again.  What differs stays, however often it was looked at.

Rounds run while both sides work.  ``finish`` is for the hold: both stand still at the barrier, all keys
that are left are looked at once more, and what differs then is a finding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple, Self

from operations.screen import complain
from operations.verification.comparing import Key
from operations.verification.findings import Finding
from operations.verification.history import Group, History
from operations.verification.judging import explain
from operations.verification.open_keys import OpenKeys
from operations.verification.record import Place, Verified, move_verified, read_record
from operations.verification.session import PATIENCE_SECONDS, open_session
from operations.verification.together import Difference, Together
from operations.verification.verify import last_verified
from operations.wording import side_name
from shared.errors import BadInput, Retry, Stop, SwitchbackError
from shared.groups import Change, Position
from shared.settings import Settings

_BATCH = 500
"""Keys of one look outside the hold: a read of some milliseconds, for without WAL it makes writers wait."""

_MANY = 50_000
"""So many keys at the most are collected before they are looked at."""

_POLL_SECONDS = 0.002
_LISTEN_SECONDS = 0.01

_Named = tuple[str, Key]


class Round(NamedTuple):
    """What a round came to: every change up to ``place`` was read, and ``open_keys`` are not yet seen equal.

    ``caught_up`` says that it was read as far as the replica had applied it when the round began.
    """

    keys_looked_at: int
    open_keys: int
    place: Place
    caught_up: bool


@contextmanager
def open_latest(settings: Settings, epoch: int, *, anyway: bool = False) -> Iterator[Latest]:
    """Begun behind the last full pass; where there was none, or ``anyway`` if it is of no use, where the replica is.

    What was seen equal in the end is kept, so that the next one begins there; where it cannot be, that is told.

    Raises as ``Latest`` and ``Latest.begin`` do.
    """
    with Latest(settings, epoch) as latest:
        try:
            latest.begin(None if latest.last_full() else latest.here)
        except BadInput:
            if not anyway:
                raise
            latest.begin(latest.here)
        yield latest
        try:
            latest.keep()
        except SwitchbackError as error:  # what was done meanwhile is done, a switch too
            complain(f"how far both sides were compared is not kept; the next time begins further back: {error}")


class Latest:
    """One program's set of keys for one epoch; opens both sides and the log, and only reads."""

    def __init__(self, settings: Settings, epoch: int, patience: float = PATIENCE_SECONDS) -> None:
        """``epoch`` is the present one.  Raises Stop where the databases say otherwise, BadInput as verification."""
        self._stack = ExitStack()
        try:
            self._session = self._stack.enter_context(open_session(settings, (), patience))
            self._check_primary(epoch)
            self._together = self._stack.enter_context(closing(Together(self._session)))
            self._together.warm()
            self._place = self._session.place
        except BaseException:
            self._stack.close()
            raise
        self._history: History[_Named] | None = None
        self._verified: Verified | None = None
        self._open = OpenKeys()
        self._lasting: list[Finding] = []
        self.looked_at = 0  # keys inside the hold

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything."""
        self._stack.close()

    @property
    def here(self) -> Place:
        """Where the replica stood when this was opened: the place to begin at without a full pass."""
        return self._place

    @property
    def open_keys(self) -> int:
        """How many keys are not yet seen equal."""
        return len(self._open)

    def last_full(self) -> Verified | None:
        """The last full pass, None where there was none; ``age`` tells how long ago it ended."""
        return read_record(self._session.replica.db, self._session.settings.stream)[1]

    def begin(self, since: Place | None = None) -> None:
        """Collect what changed behind that place; without one, behind the last pass's, and what it found wrong.

        Raises BadInput where there was no full pass, or the log no longer goes back that far.
        """
        self._open, self._lasting, self._verified = OpenKeys(), [], None
        if since is None:
            self._verified = last_verified(self._session)
            since = self._verified.place
            self._remember(self._verified)
        self._place = since
        self._history = History(self._session.log(), self._session.settings.stream, since.position, self._pick)

    def round(self, seconds: float) -> Round:
        """Read what the spine has, wait until it is applied, look at the open keys; ends after about ``seconds``."""
        deadline = time.monotonic() + seconds
        applied = self._together.applied().number
        self._read(_LISTEN_SECONDS)
        while self._place.number < applied and time.monotonic() < deadline and len(self._open) < _MANY:
            self._read(_LISTEN_SECONDS)
        caught_up = self._place.number >= applied
        self._await(lambda: self._together.applied().number >= self._place.number, deadline)
        looked = 0
        for batch in list(self._open.batches(_BATCH)):
            if time.monotonic() > deadline and looked:
                break
            looked += sum(map(len, batch.values()))
            found = self._together.look(batch)
            self._open.settle(found)
            self._refresh(found.wrong)
        return Round(looked, len(self._open), self._place, caught_up)

    def reach(self, upto: Position, deadline: float, over: Callable[[], bool]) -> bool:
        """Read up to that group, and wait until the replica has applied it; False where ``over`` says so before."""
        while self._place.number < upto.number or self._together.applied().number < upto.number:
            if over() or time.monotonic() > deadline:
                return False
            if self._place.number < upto.number:
                self._read(_POLL_SECONDS)
            else:
                time.sleep(_POLL_SECONDS)
        return True

    def finish(self, upto: Position, deadline: float) -> list[Finding]:
        """Inside the hold: what differs at the barrier ``upto``; ``deadline`` is by ``time.monotonic``.

        Raises Retry where it was not reached, or is not the end of the history.
        """
        there = self.reach(upto, deadline, lambda: False)
        if self._place.position.name != upto.name:
            raise Retry(f"the log stands at group {self._place.number}, not at the barrier", where=str(upto))
        if not there:
            raise Retry("the replica has not applied the barrier in time", where=str(upto))
        if self._together.applied().name != upto.name:
            raise Retry("the replica stands at another group than the barrier", where=str(upto))
        self.looked_at = len(self._open)
        wrong = self._look_at_all(upto, deadline)
        if self._refresh(wrong):  # a column was widened meanwhile
            wrong = self._look_at_all(upto, deadline)
        self._open.keep(wrong)
        return self._lasting + [found for one in wrong for found in explain(*one, self._session.primary)]

    def keep(self) -> None:
        """Keep in the record of the last full pass that it holds up to here, if no key is open."""
        if self._verified is None or self.open_keys or self._lasting:
            return
        self._verified.looked_at, self._verified.place = time.time(), self._place
        self._verified.wrong_rows, self._verified.findings = 0, []
        move_verified(self._session.replica.db, self._session.settings.stream, self._verified)
        self._session.need_log_from(self._place)

    def _check_primary(self, epoch: int) -> None:
        named = "postgres" if epoch % 2 else "sqlite"
        if self._session.primary != named:
            found = side_name(self._session.primary)
            what = f"in epoch {epoch} the primary is {side_name(named)}, but the databases say {found}"
            raise Stop(what, where=f"stream {self._session.settings.stream}", remedy="See `switchback status`")

    def _remember(self, verified: Verified) -> None:
        """What was wrong is looked at again; what has no key that could be looked up stays wrong."""
        for finding in verified.findings:
            if finding.table in self._session.views and finding.keys:
                self._open.add(finding.table, finding.keys, verified.place.number)
            else:
                self._lasting.append(finding)

    def _pick(self, changes: list[Change]) -> list[_Named]:
        places = {name: view.table.key_places for name, view in self._session.views.items()}
        return [
            (change.table, tuple(change.values[place] for place in places[change.table]))
            for change in changes
            if change.table in places
        ]

    def _read(self, timeout: float) -> bool:
        """Take in what the spine has next; False where nothing came."""
        if self._history is None:
            raise Stop("nothing was begun")
        groups = self._history.read(timeout)
        for group in groups:
            self._take(group)
        return bool(groups)

    def _take(self, group: Group[_Named]) -> None:
        header = group.header
        for name, key in group.picked:
            self._open.add(name, key, header.number)
        incarnation = self._place.incarnation  # the file's, in every epoch
        self._place = Place(incarnation, header.epoch, *group.position.parts, header.last_seq)

    def _await(self, there: Callable[[], bool], deadline: float) -> bool:
        while not (done := there()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return done

    def _refresh(self, wrong: list[Difference]) -> bool:
        """Whether a table of these has got another shape or type, which made it look different."""
        views = {found.view.table.name: found.view for found in wrong}
        return any([self._session.refreshed(view) is not view for view in views.values()])  # noqa: C419  (all of them)

    def _look_at_all(self, upto: Position, deadline: float) -> list[Difference]:
        """Look at every open key while both sides stand still; those that differ stay open."""
        wrong: list[Difference] = []
        left = list(self._open.batches(_MANY))
        while left:
            if time.monotonic() > deadline:
                raise Retry("the keys that changed last were not compared in time", where=str(upto))
            batch = left.pop()
            looked = self._together.look(batch)
            wrong += looked.wrong
            rest = {name: keys[len(looked.keys[name]) :] for name, keys in batch.items()}
            if any(rest.values()):
                left.append({name: keys for name, keys in rest.items() if keys})
        return wrong
