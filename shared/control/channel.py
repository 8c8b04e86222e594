"""Reading and writing the control stream: append, read back, and know whether it counts."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.control.fold import State, judge
from shared.control.records import Record, decode_record, encode_record
from shared.errors import Retry
from shared.log.contract import Record as LogRecord
from shared.log.contract import RecordStore, StoredRecord
from shared.versions import as_number, check_version

_MARK = "switchback-control"  # a header: other people's records in the topic are passed over
_FORMAT = 1  # an empty mark says 1
_READ_BACK_SECONDS = 15.0
_FETCH_SECONDS = 0.05  # how soon a wait looks at its clock, and at a signal to stop

WRITERS_FIRST_SECONDS = 0.05
"""The side that was opened is the writers' for a moment, before capture and sink begin anew beside them."""


def _never() -> bool:
    return False


class Channel:
    """One program's view of the control stream; one thread at a time."""

    def __init__(self, store: RecordStore, heard: Callable[[State], None] = lambda _state: None) -> None:
        """``heard`` is told the state whenever records were read."""
        self._store = store
        self._heard = heard
        self._offset = 0
        self.state = State()

    def open(self) -> State:
        """Read all that is there by now."""
        self._read_to(self._store.bounds()[1] - 1)
        self._heard(self.state)
        return self.state

    def warm(self) -> None:
        """Be ready to say something at once: writers wait for it."""
        self._store.warm()

    def look(self, timeout: float = 0.0) -> State:
        """Take in what came; waits up to ``timeout`` seconds for something."""
        records = self._store.fetch(self._offset, timeout)
        for stored in records:
            self._take(stored)
        if records:
            self._heard(self.state)
        return self.state

    def mention(self, record: Record) -> int:
        """Append a record and do not ask whether it counts; returns its offset."""
        self._store.send(LogRecord(((_MARK, b""),), encode_record(record)))
        return self._store.flush()

    def say(self, record: Record) -> str:
        """Append a record and read the stream up to it; returns why it is void, "" where it counts.

        After Retry it is not known whether the record is in the stream: open the log anew and look.
        """
        void = self._read_to(self.mention(record))
        self._heard(self.state)
        return void

    def wait(self, until: Callable[[State], bool], deadline: float, stopped: Callable[[], bool] = _never) -> bool:
        """Look until the state is as wished; False when the deadline (time.monotonic) passes or it is told to stop."""
        while not until(self.state):
            left = deadline - time.monotonic()
            if left <= 0 or stopped():
                return False
            self.look(min(left, _FETCH_SECONDS))
        return True

    def _take(self, stored: StoredRecord) -> str:
        self._offset = stored.offset + 1
        version = dict(stored.headers).get(_MARK)
        if version is None:
            return "somebody else's record"
        check_version("the control stream has a record", as_number(version), _FORMAT, f"offset {stored.offset}")
        self.state, void = judge(self.state, decode_record(stored.value))
        return void

    def _read_to(self, offset: int) -> str:
        """Read up to and with the record at that offset; returns why it is void."""
        void, deadline = "", time.monotonic() + _READ_BACK_SECONDS
        while self._offset <= offset:
            for stored in self._store.fetch(self._offset, _FETCH_SECONDS):
                found = self._take(stored)
                void = found if stored.offset == offset else void
            if self._offset <= offset and time.monotonic() > deadline:
                raise Retry("the control stream does not bring what was written to it", where="control stream")
        return void
