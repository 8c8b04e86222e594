"""``switchback log show`` in data: what counts, what is void, and why."""

from __future__ import annotations

import msgspec

from shared import wire
from shared.groups import Change, Header
from shared.log.contract import LogBackend, Record
from shared.log.listing import Line, list_groups
from shared.tables import Column, Schema, Table
from spines import LogPlace, append, append_pieces, claimed, half_a_group, send_header


def lines(log: LogBackend, stream: str, start: int = 0) -> list[Line]:
    return list(list_groups(log.spine, stream, start))


def test_an_empty_log_has_no_lines(log: LogBackend, stream: str) -> None:
    assert lines(log, stream) == []


def test_a_group_of_changes_is_counted_by_table_and_op(log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 3)
    changes = [
        Change("lead", "c", 8, 1_700_000_000_000, [1, b"x" * 900_000]),
        Change("note", "d", 9, 1_700_000_001_000, [1]),
        Change("lead", "c", 10, 1_700_000_002_000, [2, None]),
    ]
    writer.append("changes", wire.encode_changes(changes), epoch=1, first_seq=8, last_seq=10)
    writer.flush()

    line = lines(log, stream)[1]

    assert line.changes == {"lead": {"c": 2}, "note": {"d": 1}}
    assert (line.offset, line.group, line.lease, line.epoch, line.frames) == (3, 1, 3, 1, 3)
    assert (line.first_seq, line.last_seq) == (8, 10)
    assert str(line).startswith("offset 3  group 1  lease 3  epoch 1  changes  seq 8-10  3 frames  900,")
    assert str(line).endswith("lead: c2; note: d1  2023-11-14T22:13:20.000Z to 2023-11-14T22:13:22.000Z")


def test_other_kinds_say_what_they_hold(log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    schema = Schema((Table("lead", (Column("id"),), ("id",)),))
    writer.append("schema", [wire.encode(schema)], epoch=0, first_seq=1, last_seq=0)
    meta = {"table": "lead", "after": "05", "done": True, "rows": 2, "total": 2}
    writer.append("snapshot", wire.encode_rows("lead", [(1,), (2,)]), epoch=0, first_seq=1, last_seq=0, meta=meta)
    writer.append("barrier", [], epoch=0, first_seq=1, last_seq=0, meta={"purpose": "copied"})
    writer.flush()

    claim, first, second, third = lines(log, stream)

    assert claim.kind == "claim"
    assert first.note == "1 tables"
    assert (second.table, second.rows, second.note) == ("lead", 2, "the table is done")
    assert third.note == "copied"


def test_void_records_say_why(log: LogBackend, other: LogBackend, stream: str) -> None:
    zombie = claimed(log, stream, 1)
    append(zombie, "a")
    claimed(other, stream, 2)
    append(zombie, "void")
    zombie.flush()
    log.spine.send(Record([], b"garbage"))
    send_header(log, Header("other", "i", "w", 1, 1, "changes"))

    reasons = [line.void for line in lines(log, stream)]

    assert reasons[-3:] == [
        "lease 1 was deposed by lease 2",
        "not a record of Switchback",
        "belongs to stream other",
    ]
    assert "VOID: lease 1 was deposed by lease 2" in str(lines(log, stream)[-3])


def test_half_a_group_is_void_once_a_claim_stands_behind_it(log: LogBackend, other: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    half_a_group(log, writer)
    before = lines(log, stream)[-1]
    claimed(other, stream, 2)
    after = lines(log, stream)[-2]

    assert before.void == "half a group: its end has not come yet"
    assert after.void == "half a group: a claim came before its end"
    assert (after.group, after.frames) == (1, 1)


def test_a_payload_that_cannot_be_read_is_said_to_be_so(log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    append_pieces(writer, [b"\xc1"])
    writer.flush()

    assert "cannot be read" in lines(log, stream)[1].note


def test_it_begins_with_the_group_asked_for(log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    for text in "abcd":
        append(writer, text)
    writer.flush()

    assert [line.group for line in lines(log, stream, 3)] == [3, 4]
    assert lines(log, stream, 5) == []


def test_a_log_whose_beginning_is_gone_is_shown_from_there(place: LogPlace, log: LogBackend, stream: str) -> None:
    writer = claimed(log, stream, 1)
    for text in "abcd":
        append(writer, text)
    writer.flush()
    heir = claimed(place.open(), stream, 2)
    append(heir, "e")
    heir.flush()
    append(writer, "void")
    writer.flush()
    for gone, groups in ((2, [2, 3, 4, 5]), (5, [5])):
        place.expire(gone)
        shown = lines(place.open(), stream)
        assert [line.group for line in shown if line.kind == "changes" and not line.void] == groups
        assert [line.void for line in shown if line.void] == ["lease 1 was deposed by lease 2"]


def test_lines_can_be_written_as_json(log: LogBackend, stream: str) -> None:
    append(claimed(log, stream, 1), "a")
    log.spine.flush()

    line = lines(log, stream)[1]

    assert msgspec.json.decode(msgspec.json.encode(line), type=Line) == line
