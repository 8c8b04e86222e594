"""The spine as verification reads it: what matters of the changes of whole groups, from a place on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from shared import wire
from shared.errors import BadInput, SpineBroken
from shared.groups import Abandoned, Change, Frame, Header, Position
from shared.log.contract import LogBackend
from shared.log.opening import open_log_of
from shared.log.spine import Reader
from shared.settings import Settings

Picked = TypeVar("Picked")


class Group(NamedTuple, Generic[Picked]):
    """A group that counts: its header, its place, and what was picked from its changes (nothing from other kinds)."""

    header: Header
    position: Position
    picked: list[Picked]


def open_history(settings: Settings) -> LogBackend:
    """The log; NoLog where there is none."""
    return open_log_of(settings, make=False)


class History(Generic[Picked]):
    """Reads on from a place.  ``pick`` takes from some changes what is to be kept: a group may be large."""

    def __init__(
        self, log: LogBackend, stream: str, after: Position, pick: Callable[[list[Change]], list[Picked]]
    ) -> None:
        """Raises BadInput where the log no longer goes back to that place."""
        try:
            self._reader = Reader(log.spine, stream, after)
        except SpineBroken as error:
            raise _too_old(error) from error
        self._pick = pick
        self._picked: list[Picked] = []
        self.position = after

    def read(self, timeout: float) -> list[Group[Picked]]:
        """The groups that came to their end; waits up to ``timeout`` seconds for a first record."""
        try:
            events = self._reader.read(timeout)
        except SpineBroken as error:
            raise _too_old(error) from error
        groups: list[Group[Picked]] = []
        for event in events:
            if isinstance(event, Abandoned):
                self._picked = []
            else:
                groups += self._take(event)
        return groups

    def _take(self, frame: Frame) -> list[Group[Picked]]:
        if frame.header.kind == "changes":
            self._picked += self._pick(wire.decode_changes(frame.piece))
        if not frame.header.last:
            return []
        picked, self._picked = self._picked, []
        self.position = frame.position
        return [Group(frame.header, frame.position, picked)]


def _too_old(error: SpineBroken) -> BadInput:
    what = "the changes since the last verification are no longer in the log"
    return BadInput(what, where=error.where, remedy="Verify everything: `switchback verify`")
