"""An attempt to change the primary, record by record, and the state that some records come to."""

from __future__ import annotations

from shared.control.fold import State, judge
from shared.control.records import (
    CAPTURE,
    OPERATOR,
    SINK,
    Aborted,
    Asked,
    Drained,
    Fenced,
    Held,
    LetGo,
    Opened,
    Opening,
    Prepared,
    Record,
    Verified,
)

ASKED = Asked(by=OPERATOR, at_ms=0, attempt="a", epoch=1, max_pause_ms=5_000, who="ada@host")
HELD = Held(by=CAPTURE, at_ms=1, attempt="a", since_ms=1, lease=1, number=7, offset=9)
DRAINED = Drained(by=SINK, at_ms=2, attempt="a")
VERIFIED = Verified(by=OPERATOR, at_ms=3, attempt="a")
PREPARED = Prepared(by=SINK, at_ms=4, attempt="a")
FENCED = Fenced(by=CAPTURE, at_ms=5, attempt="a")
OPENING = Opening(by=SINK, at_ms=6, attempt="a")
OPENED = Opened(by=SINK, at_ms=7, attempt="a")
ABORTED = Aborted(by=OPERATOR, at_ms=6, attempt="a", reason="no")
LET_GO = LetGo(by=CAPTURE, at_ms=7, attempt="a")
ALL_CLOSED = (ASKED, HELD, DRAINED, VERIFIED, PREPARED, FENCED)
ALL_OPENED = (*ALL_CLOSED, OPENING, OPENED)


def after(*records: Record) -> State:
    """The state that these records come to; all of them count."""
    state = State()
    for record in records:
        state, void = judge(state, record)
        assert not void
    return state
