"""What a column's values become in the table topics, and that none becomes something else in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadInput, Hold
from shared.groups import RawText
from shared.tables import Census, Column, Table
from sink.topics.fields import Decimals
from sink.topics.names import topic_names
from sink.topics.shapes import Shape, Wanted

TEXT_TIMES = ("time| |auto|",)
ZONED = ("time|T|auto|+00:00",)
ID = Column("id", "INTEGER", "INTEGER", census=Census(1, integers=1))


def _shape(column: Column, override: str = "", decimals: Decimals = "string") -> Shape:
    types = {f"t.{column.name}": override} if override else {}
    return Shape(
        Table("t", (ID, column), ("id",), identity="id"), "s.t", Wanted(embedded=True, decimals=decimals, types=types)
    )


def _said(column: Column, value: Any, override: str = "", decimals: Decimals = "string") -> tuple[str, str, Any]:
    """Type, semantic type and the value as a reader of JSON gets it."""
    shape = _shape(column, override, decimals)
    (row,) = shape.rows([[1], [value]])
    read = json.loads(shape.value(row), parse_constant=pytest.fail)["payload"]
    return shape.fields[1].type, shape.fields[1].semantic, read[column.name]


@pytest.mark.parametrize(
    ("column", "override", "value", "expected"),
    [
        (Column("c", "INTEGER", "INTEGER"), "", -(2**63), ("int64", "", -(2**63))),
        (Column("c", "INTEGER", "INTEGER"), "smallint", 7, ("int16", "", 7)),
        (Column("c", "INTEGER", "INTEGER"), "integer", 7, ("int32", "", 7)),
        (Column("c", "BOOLEAN", "NUMERIC", census=Census(1, integers=1)), "", 1, ("boolean", "", True)),
        (Column("c", "REAL", "REAL"), "", 5.0, ("double", "", 5.0)),
        (Column("c", "BLOB", "BLOB"), "", b"\x00\xff", ("bytes", "", "AP8=")),
        (Column("c", "TEXT", "TEXT"), "", "é\x01", ("string", "", "é\x01")),
        (Column("c", "TEXT", "TEXT", census=Census(1, texts=1, unstorable_texts=1)), "", "a\0", ("bytes", "", "YQA=")),
        (Column("c", "DECIMAL", "NUMERIC", census=Census(1, reals=1)), "", 1e-7, ("string", "", "0.0000001")),
        (
            Column("c", "DATE", "NUMERIC", census=Census(1, texts=1, formats=("date",))),
            "",
            "1969-12-31",
            ("int32", "io.debezium.time.Date", -1),
        ),
        (
            Column("c", "DATETIME", "NUMERIC", census=Census(1, texts=1, formats=TEXT_TIMES)),
            "",
            "1969-12-31 23:59:59.999999",
            ("int64", "io.debezium.time.MicroTimestamp", -1),
        ),
        (
            Column("c", "DATETIME", "NUMERIC", census=Census(1, texts=1, formats=ZONED)),
            "",
            "2026-01-02T03:04:05.000006+00:00",
            ("string", "io.debezium.time.ZonedTimestamp", "2026-01-02T03:04:05.000006Z"),
        ),
        (Column("c", "TEXT", "TEXT"), "time", "00:00:01.5", None),
        (Column("c", "TEXT", "TEXT"), "time", "00:00:01", ("int64", "io.debezium.time.MicroTime", 1_000_000)),
        (
            Column("c", "UUID", "TEXT", census=Census(1, texts=1, formats=("uuid-hex",))),
            "",
            "0f1c2d1e0a574a939a4a5d2f0a8f7c11",
            ("string", "io.debezium.data.Uuid", "0f1c2d1e-0a57-4a93-9a4a-5d2f0a8f7c11"),
        ),
        (Column("c", "JSON", "TEXT"), "", '{"a": 1}', ("string", "io.debezium.data.Json", '{"a": 1}')),
        (Column("c", "JSON", "TEXT"), "jsonb", '{"a": 1}', ("string", "io.debezium.data.Json", '{"a": 1}')),
        (Column("c", "", "BLOB"), "", 5, ("string", "", "5")),
        (Column("c", "", "BLOB"), "", b"\x00", ("string", "", "x'00'")),
        (Column("c", "TEXT", "TEXT"), "somebody_s_enum", "on", ("string", "", "on")),
    ],
)
def test_a_value_and_its_field(column: Column, override: str, value: Any, expected: Any) -> None:
    if expected is None:
        with pytest.raises(Hold, match="TEXT that is no time of day"):
            _said(column, value, override)
    else:
        assert _said(column, value, override) == expected
        assert _said(column, None, override)[2] is None


def test_decimals_as_doubles_are_refused_where_they_would_change() -> None:
    column = Column("c", "DECIMAL", "NUMERIC", census=Census(1, integers=1))

    assert _said(column, 12.5, decimals="double") == ("double", "", 12.5)
    with pytest.raises(Hold, match="a double would change"):
        _said(column, 2**53 + 1, decimals="double")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("c", "INTEGER", "INTEGER"), "text"),
        (Column("c", "INTEGER", "INTEGER"), 0.5),
        (Column("c", "BOOLEAN", "NUMERIC", census=Census(1, integers=1)), 2),
        (Column("c", "REAL", "REAL"), float("inf")),
        (Column("c", "TEXT", "TEXT", census=Census(1, texts=1)), b"blob"),
        (Column("c", "TEXT", "TEXT", census=Census(1, texts=1)), RawText(b"\xff")),
    ],
)
def test_what_a_field_cannot_say_is_refused_by_table_key_and_column(column: Column, value: Any) -> None:
    with pytest.raises(Hold) as refusal:
        _said(column, value)

    assert "table t, key 1, column c" in str(refusal.value)
    assert 'types."t.c"' in str(refusal.value)


def test_of_a_row_that_is_gone_only_the_key_must_fit() -> None:
    shape = _shape(Column("c", "INTEGER", "INTEGER"))

    assert shape.rows([[1, 2], [5, "text"]], gone=[False, True]) == [{"id": 1, "c": 5}, {"id": 2, "c": None}]


@given(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary()))
def test_a_column_that_holds_anything_says_any_value(value: Any) -> None:
    kind, _, said = _said(Column("c", "", "BLOB", census=Census(2, integers=1, texts=1)), value)

    assert kind == "string"
    assert said is None or isinstance(said, str)


def test_two_tables_of_one_topic_are_refused() -> None:
    assert topic_names("s", "s", ["Odd name", "x"]) == {"Odd name": "s.Odd_name", "x": "s.x"}
    with pytest.raises(BadInput, match=r"table a_b and table a b would share the topic s\.a_b"):
        topic_names("s", "s", ["a b", "a_b"])
    with pytest.raises(BadInput, match="the log itself"):
        topic_names("s", "s", ["spine"])
