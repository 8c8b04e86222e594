"""Walking over the records of a spine, each with its judgement, and checking from where a walk may begin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from shared.errors import Retry, SpineBroken
from shared.groups import Header, Position
from shared.log.acceptance import Accepted, Judgement, judge
from shared.log.contract import RecordStore, StoredRecord
from shared.log.headers import VERSION, Newer, Unreadable, from_headers
from shared.versions import check_version

_REMEDY = "The log was truncated or recreated: start a new stream, or empty the target and copy again"
_PATIENCE_SECONDS = 30.0


class Judged(NamedTuple):
    """A record, its header where it can be read, and what it means."""

    record: StoredRecord
    header: Header | None
    judgement: Judgement


def judge_record(record: StoredRecord, state: Accepted, stream: str) -> Judged:
    """Judge one record after the state that the records before it left."""
    try:
        header = _header(record, stream)
    except Unreadable as error:
        return Judged(record, None, Judgement(state, str(error)))
    return Judged(record, header, judge(state, header, stream))


def _header(record: StoredRecord, stream: str) -> Header:
    """Stop for a newer version's record of this stream: what it means is not for this program to judge."""
    try:
        return from_headers(record.headers)
    except Newer as error:
        if error.stream == stream:
            check_version("the log has a record", error.version, int(VERSION), f"offset {record.offset}")
        raise Unreadable(str(error)) from error


def records_until(store: RecordStore, stream: str, offset: int, until: int) -> Iterator[StoredRecord]:
    """Every record from ``offset`` to ``until``, both included; SpineBroken where the spine ends before."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while offset <= until:
        records = store.fetch(offset, 1.0)
        for record in records:
            if record.offset > until:
                return
            yield record
            offset = record.offset + 1
            deadline = time.monotonic() + _PATIENCE_SECONDS
        if not records:
            _check_progress(store, stream, until, deadline)


def _check_progress(store: RecordStore, stream: str, until: int, deadline: float) -> None:
    end = store.bounds()[1]
    if end <= until:
        what = f"the spine ends at offset {end - 1}, before {until}"
        raise SpineBroken(what, where=f"stream {stream}", remedy=_REMEDY)
    if time.monotonic() > deadline:
        raise Retry(f"the log gives no record, though it goes on to offset {end - 1}", where=f"stream {stream}")


def scan(store: RecordStore, stream: str, offset: int, state: Accepted, *, until: int) -> Iterator[Judged]:
    """Every record from ``offset`` to ``until``, both included, with its judgement."""
    for record in records_until(store, stream, offset, until):
        judged = judge_record(record, state, stream)
        state = judged.judgement.state
        yield judged


def check_anchor(store: RecordStore, stream: str, after: Position) -> Accepted:
    """The state behind that group; SpineBroken unless the spine holds its end, or at least all that follows it."""
    first, end = store.bounds()
    where = f"stream {stream}, {after}"
    if after.number == 0:
        if first > 0 and after.offset < first - 1:
            what = f"the spine begins at offset {first}: its first groups are gone"
            raise SpineBroken(what, where=where, remedy=_REMEDY)
        return Accepted.after(after)
    if after.offset >= end:
        raise SpineBroken(f"the spine ends at offset {end - 1}", where=where, remedy=_REMEDY)
    if after.offset < first - 1:
        what = f"the spine begins at offset {first}: groups that were not applied are gone"
        raise SpineBroken(what, where=where, remedy=_REMEDY)
    if after.offset < first:
        return Accepted.after(after)
    return Accepted(after.lease, after.number, _writer_at(store, stream, after, where))


def _writer_at(store: RecordStore, stream: str, after: Position, where: str) -> str:
    """Who wrote the group's last frame, which must stand at its offset."""
    records = store.fetch(after.offset, 10.0)
    if not records:
        raise Retry("the log does not give the last group that was applied", where=where)
    try:
        header = _header(records[0], stream)
    except Unreadable as error:
        raise SpineBroken(f"another record stands there: {error}", where=where, remedy=_REMEDY) from error
    found = (records[0].offset, header.stream, header.lease, header.number, header.last, header.kind == "claim")
    if found != (after.offset, stream, *after.name, True, False):
        what = f"a record of group {header.number} of lease {header.lease} of stream {header.stream} stands there"
        raise SpineBroken(what, where=where, remedy=_REMEDY)
    return header.writer
