"""Capture's progress is a fold over the groups that count, and survives as text."""

from __future__ import annotations

from typing import Any

from capture.progress import Progress, decode_progress, encode_progress, fold
from shared.groups import Header, Kind


def header(number: int, kind: Kind, seq: int, **meta: Any) -> Header:
    return Header("s", "i", "w", lease=3, number=number, kind=kind, last_seq=seq, meta=meta)


HISTORY = [
    header(1, "schema", 0, tables=2),
    header(2, "changes", 7, check=11),
    header(3, "snapshot", 7, table="a", after="0a", rows=5, total=9, done=False),
    header(4, "snapshot", 7, table="a", after="0b", rows=9, total=9, done=True),
    header(5, "barrier", 7, purpose="copied"),
]


def test_nothing_is_published_at_first() -> None:
    progress = decode_progress(None)
    assert (progress.seq, progress.schema, progress.copied, progress.tables) == (0, False, False, {})


def test_it_knows_the_last_change_and_each_tables_cursor() -> None:
    progress = fold(Progress(), HISTORY[:3])
    assert progress.seq == 7
    assert progress.check == 11
    assert progress.schema
    assert progress.tables["a"].after == "0a"
    assert not progress.tables["a"].done
    assert not progress.copied


def test_it_knows_when_everything_is_copied() -> None:
    progress = fold(Progress(), HISTORY)
    assert progress.tables["a"].done
    assert progress.copied
    assert (progress.lease, progress.number) == (3, 5)


def test_a_checkpoint_in_between_changes_nothing() -> None:
    for cut in range(len(HISTORY) + 1):
        kept = decode_progress(encode_progress(fold(Progress(), HISTORY[:cut])))
        assert fold(kept, HISTORY[cut:]) == fold(Progress(), HISTORY)
