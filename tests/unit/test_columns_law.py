"""The law of codecs: what goes to PostgreSQL comes back equal in value and storage class, or does not go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.columns import Codec, Unfit, codec_for
from shared.columns.affinity import as_stored, same_value
from shared.tables import Affinity
from sqlite_values import AFFINITIES, INTEGERS, REALS, TAKEN, TEXTS, VALUES, column

TYPES = (
    "bigint", "integer", "smallint", "boolean", "double precision", "real", "text", "varchar(5)", "char(5)", "bytea",
    "numeric", "numeric(6,2)", "numeric(38,10)", "date", "time", "timestamp", "timestamptz", "timestamp(3)", "uuid",
    "json", "jsonb",
)  # fmt: skip
HELD: tuple[dict[str, int], ...] = (
    {},
    {"texts": 1},
    {"blobs": 1},
    {"texts": 1, "blobs": 1},
    {"integers": 1, "reals": 1, "texts": 1},
)


@pytest.mark.parametrize(("pg_type", "codec", "values"), TAKEN, ids=lambda part: part if isinstance(part, str) else "")
def test_a_codec_takes_what_it_is_for(pg_type: str, codec: Codec, values: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.none() | values, max_size=5))
    def takes(some: list[Any]) -> None:
        there = codec.to_postgres_column(some)
        assert all(map(same_value, map(codec.to_sqlite, _loaded(there)), some))

    takes()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from(AFFINITIES), st.sampled_from(HELD), VALUES)
def test_any_value_is_kept_or_rejected_by_name(pg_type: str, affinity: Affinity, held: Any, value: Any) -> None:
    codec = codec_for(column(affinity, **held), pg_type)
    if affinity == "REAL" and isinstance(value, float):
        value += 0.0  # SQLite has no -0.0 there
    try:
        there = codec.to_postgres(value)
    except Unfit as unfit:
        reason = unfit.reason
        there = None
    else:
        reason = ""
    assert reason or same_value(codec.to_sqlite(_loaded([there])[0]), value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(AFFINITIES), INTEGERS | REALS | TEXTS)
def test_affinity_does_what_sqlite_does(affinity: Affinity, value: Any) -> None:
    if affinity == "TEXT" and not isinstance(value, str):
        return  # a number's text is SQLite's own business
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE t (c {affinity})")
        db.execute("INSERT INTO t VALUES (?)", (value,))
        stored = db.execute("SELECT c FROM t").fetchone()[0]
    mine: Any = as_stored(value, affinity)
    assert type(mine) is type(stored)
    assert same_value(mine, stored) or (isinstance(mine, float) and 0 < abs(mine - stored) <= abs(stored) * 1e-14)


def test_a_value_that_does_not_fit_is_named_by_its_place_and_class_alone() -> None:
    codec = codec_for(column("INTEGER"), "bigint")
    with pytest.raises(Unfit) as unfit:
        codec.to_postgres_column([1, None, "my secret"])
    assert unfit.value.index == 2
    assert unfit.value.reason == "TEXT where bigint keeps INTEGER"


def test_a_column_that_needs_no_change_costs_none() -> None:
    values = [1, 2, None]
    assert codec_for(column("INTEGER"), "bigint").to_postgres_column(values) is values


def test_nul_is_found_among_many_texts() -> None:
    codec = codec_for(column(), "text")
    with pytest.raises(Unfit) as unfit:
        codec.to_postgres_column(["a"] * 100 + [None, "b\0c"] + ["d"] * 100)
    assert unfit.value.index == 101
    assert "NUL" in unfit.value.reason


def _loaded(there: Any) -> list[Any]:
    """As psycopg loads it: a Jsonb is its text."""
    return [getattr(value, "obj", value) for value in there]
