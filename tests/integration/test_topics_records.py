"""What stands in the table topics: golden records, read by a plain consumer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.tables import Census, Column, Schema, Table
from table_topics import Spine, raw_records, records

PEOPLE = Table(
    "person",
    (
        Column("id", "INTEGER", "INTEGER", census=Census(2, integers=2)),
        Column("name", "TEXT", "TEXT", census=Census(2, texts=2)),
        Column("score", "REAL", "REAL", census=Census(2, reals=2)),
        Column("active", "BOOLEAN", "NUMERIC", census=Census(2, integers=2, min_integer=0, max_integer=1)),
        Column("photo", "BLOB", "BLOB", census=Census(2, blobs=2)),
        Column("price", "DECIMAL(8,2)", "NUMERIC", census=Census(2, integers=1, reals=1)),
        Column("at", "DATETIME", "NUMERIC", census=Census(2, texts=2, formats=("time| |auto|",))),
    ),
    ("id",),
    identity="id",
)
ANN = [1, "ann", 0.1, 1, b"\x00\xff", 12.5, "2026-01-02 03:04:05"]
BOB = [2, "bob", 5.0, 0, None, 7, None]
ANN_AFTER = {
    "id": 1,
    "name": "ann",
    "score": 0.1,
    "active": True,
    "photo": "AP8=",
    "price": "12.5",
    "at": 1_767_323_045_000_000,
}

Make = Callable[..., Spine]


@pytest.fixture
def make(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Make]:
    made: list[Spine] = []

    def making(*, tables: tuple[Table, ...] = (PEOPLE,), **settings: str) -> Spine:
        spine = Spine(kafka_bootstrap, f"t-{tmp_path.name}", tmp_path, **settings)
        made.append(spine)
        spine.schema(Schema(tables))
        return spine

    yield making
    for spine in made:
        spine.close()


def test_a_row_s_whole_life_in_debezium_s_envelope(make: Make, kafka_bootstrap: str) -> None:
    spine = make()
    spine.copy("person", ANN)
    spine.change(("person", "c", BOB), ("person", "u", [2, "bob", 6.5, 1, None, 7, None]))
    spine.barrier()
    spine.change(("person", "d", ANN), epoch=1)
    spine.topics.start()
    spine.wait_published()

    found = records(kafka_bootstrap, f"{spine.stream}.person")

    assert [record.value and record.value["op"] for record in found] == ["r", "c", "u", "d", None]
    assert [record.key for record in found] == [{"id": 1}, {"id": 2}, {"id": 2}, {"id": 1}, {"id": 1}]
    copied, created, _, gone, _ = (record.value for record in found)
    assert copied
    assert created
    assert gone
    assert (copied["before"], copied["after"], copied["transaction"]) == (None, ANN_AFTER, None)
    assert copied["source"]["snapshot"] == "true"
    assert created["source"] == {
        "version": created["source"]["version"],
        "connector": "switchback",
        "name": spine.stream,
        "ts_ms": 1_001,
        "snapshot": "false",
        "db": spine.stream,
        "table": "person",
        "lease": 1,
        "group": 3,
        "epoch": 0,
        "seq": 1,
        "txId": "3",
    }
    assert created["transaction"] == {"id": "3", "total_order": 1, "data_collection_order": 1}
    assert (gone["before"], gone["after"], gone["source"]["epoch"]) == (ANN_AFTER, None, 1)


def test_a_changed_key_is_a_delete_a_tombstone_and_a_create_that_name_each_other(
    make: Make, kafka_bootstrap: str
) -> None:
    spine = make()
    spine.change(("person", "k", BOB), ("person", "c", [3, *BOB[1:]]))
    spine.topics.start()
    spine.wait_published()

    gone, tombstone, created = records(kafka_bootstrap, f"{spine.stream}.person")

    assert gone.value
    assert created.value
    assert (gone.key, gone.value["op"], gone.headers["__debezium.newkey"]) == ({"id": 2}, "d", '{"id":3}')
    assert (tombstone.key, tombstone.value) == ({"id": 2}, None)
    assert (created.key, created.value["op"], created.headers["__debezium.oldkey"]) == ({"id": 3}, "c", '{"id":2}')


def test_with_schema_every_record_says_the_types_of_its_fields(make: Make, kafka_bootstrap: str) -> None:
    spine = make(topics_format="schema", topics_tombstones="false")
    spine.copy("person", ANN)
    spine.change(("person", "d", ANN))
    spine.topics.start()
    spine.wait_published()

    found = raw_records(kafka_bootstrap, f"{spine.stream}.person")

    topic = f"{spine.stream}.person"
    assert len(found) == 2
    key, value = json.loads(found[0].key), json.loads(found[0].value)
    assert key["schema"] == {
        "type": "struct",
        "fields": [{"type": "int64", "optional": False, "field": "id"}],
        "optional": False,
        "name": f"{topic}.Key",
    }
    assert value["schema"]["name"] == f"{topic}.Envelope"
    after: dict[str, Any] = next(part for part in value["schema"]["fields"] if part["field"] == "after")
    assert [(field["field"], field["type"], field.get("name")) for field in after["fields"]] == [
        ("id", "int64", None),
        ("name", "string", None),
        ("score", "double", None),
        ("active", "boolean", None),
        ("photo", "bytes", None),
        ("price", "string", None),
        ("at", "int64", "io.debezium.time.MicroTimestamp"),
    ]
    assert value["payload"]["after"] == ANN_AFTER


def test_a_value_that_its_field_cannot_say_stops_by_name(make: Make, kafka_bootstrap: str) -> None:
    spine = make()
    spine.change(("person", "c", BOB))
    spine.change(("person", "c", [3, b"no text", 0.0, 1, None, 1, None]))
    spine.writer.flush()
    spine.topics.start()
    spine.topics.assert_ended(3, "table person, key 3, column name", 'types."person.name"')

    assert len(records(kafka_bootstrap, f"{spine.stream}.person")) == 1


def test_an_infinite_number_is_refused_by_name_and_said_as_text_where_the_type_is_text(
    make: Make, kafka_bootstrap: str
) -> None:
    spine = make()
    spine.change(("person", "c", [1, "x", float("inf"), 1, None, 1, None]))
    spine.writer.flush()
    spine.topics.start()
    spine.topics.assert_ended(3, "column score", "infinite REAL")

    spine.topics.start(types="person.score=text")
    spine.wait_published()

    (record,) = records(kafka_bootstrap, f"{spine.stream}.person")
    assert record.value
    assert record.value["after"]["score"] == "9e999"


def test_tables_that_would_share_a_topic_are_refused(make: Make) -> None:
    clash = Table("spine", PEOPLE.columns, PEOPLE.key)
    spine = make(tables=(clash,))
    spine.writer.flush()
    spine.topics.start()

    spine.topics.assert_ended(2, "table spine", "topics_prefix")


def test_a_transaction_of_many_frames_is_published_whole(make: Make, kafka_bootstrap: str) -> None:
    spine = make()
    many = [("person", "c", [n, "x" * 1_000, 0.5, 1, None, 1, None]) for n in range(3_000)]
    spine.change(*many)
    spine.topics.start()
    spine.wait_published()

    found = records(kafka_bootstrap, f"{spine.stream}.person")

    assert [record.key["id"] for record in found] == list(range(3_000))
    orders = [record.value["transaction"]["total_order"] for record in found if record.value]
    assert orders == list(range(1, 3_001))


def test_a_group_that_was_never_finished_does_not_keep_a_completed_migration_waiting(
    make: Make, kafka_bootstrap: str
) -> None:
    spine = make()
    spine.copy("person", ANN)
    spine.break_off(("person", "c", BOB))
    spine.complete()
    spine.topics.start()

    spine.topics.assert_ended(3, "the migration is completed")

    assert [record.key for record in records(kafka_bootstrap, f"{spine.stream}.person")] == [{"id": 1}]
