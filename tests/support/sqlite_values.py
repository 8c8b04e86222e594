"""Random SQLite values, and codecs with the values that they should take."""

from __future__ import annotations

import json
from datetime import date, datetime, time

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shared.columns import Codec, codec_for
from shared.columns.times import FRACTIONS, SUFFIXES, Spelling
from shared.groups import RawText
from shared.tables import Affinity, Census, Column

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5) | st.sampled_from([2**53 + 1, 2**31, -(2**31) - 1])
REALS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 5.0, 1e18, 2.0**63, -(2.0**63), 0.1 + 0.2, 5e-324])
REAL_COLUMN = REALS.map(lambda real: real + 0.0)  # SQLite has no -0.0 there
ANY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBER_LIKE = st.from_regex(r"\A[ \t]?[+-]?[0-9]{0,20}\.?[0-9]{0,4}([eE][+-]?[0-9]{1,3})?[ \n]?\Z")
MARKED = st.sampled_from(["'12'", "x'00'", "t'61'", "9e999", "-9e999", "nan", "inf", "'", "''", "007", "1_0", "0x1F"])
TEXTS = ANY_TEXTS | NUMBER_LIKE | MARKED
BLOBS = st.binary(max_size=40)
RAW_TEXTS = st.just(RawText(b"\xff")) | st.builds(RawText, st.just(b"ab\xc3\x28"))
VALUES = st.none() | INTEGERS | REALS | TEXTS | BLOBS | RAW_TEXTS
AFFINITIES: tuple[Affinity, ...] = ("INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB")

MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))  # noqa: DTZ001
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
JSON_TEXTS = st.builds(json.dumps, JSON) | st.sampled_from([' {"a":1 }', '"\\ud800"', '"\\u0000"', "1E400", "0.10"])


def column(affinity: Affinity = "TEXT", declared: str = "", **census: object) -> Column:
    """A column with a census, for asking for a codec."""
    return Column("c", declared, affinity, census=Census(**census))  # type: ignore[arg-type]


def time_texts(spelling: Spelling) -> SearchStrategy[str]:
    """Times as that spelling writes them."""
    digits = 6 if spelling.fraction == "auto" else int(spelling.fraction)
    step = 10 ** (6 - digits)
    return MOMENTS.map(lambda m: spelling.write(m.replace(microsecond=m.microsecond // step * step)))


SPELLINGS = [Spelling(" ", f, suffix) for f in FRACTIONS[:4] for suffix in SUFFIXES]
SPELLINGS += [Spelling("T", f, "Z") for f in FRACTIONS]

TAKEN: list[tuple[str, Codec, SearchStrategy[object]]] = [
    ("bigint", codec_for(column("INTEGER"), "bigint"), INTEGERS),
    ("integer", codec_for(column("INTEGER"), "integer"), st.integers(-(2**31), 2**31 - 1)),
    ("smallint", codec_for(column("INTEGER"), "smallint"), st.integers(-(2**15), 2**15 - 1)),
    ("boolean", codec_for(column("NUMERIC"), "boolean"), st.sampled_from([0, 1])),
    ("double precision", codec_for(column("REAL"), "double precision"), REAL_COLUMN),
    ("real", codec_for(column("REAL"), "real"), st.floats(width=32, allow_nan=False).map(lambda real: real + 0.0)),
    ("text", codec_for(column(), "text"), TEXTS.filter(lambda text: "\0" not in text)),
    ("varchar(40)", codec_for(column(), "varchar(40)"), TEXTS.filter(lambda text: "\0" not in text)),
    ("char(9)", codec_for(column(), "char(9)"), st.text("abc é", max_size=9).map(lambda text: text.rstrip(" "))),
    ("bytea", codec_for(column("BLOB", blobs=1), "bytea"), BLOBS),
    ("bytea", codec_for(column("TEXT", texts=1), "bytea"), TEXTS | RAW_TEXTS),
    ("text", codec_for(column("BLOB"), "text"), INTEGERS | REALS | TEXTS | BLOBS | RAW_TEXTS),
    ("text", codec_for(column("TEXT", blobs=1, texts=1), "text"), TEXTS | BLOBS | RAW_TEXTS),
    (
        "numeric",
        codec_for(column("BLOB"), "numeric"),
        INTEGERS | REALS.filter(lambda r: abs(r) < 1e309 and str(r) != "-0.0"),
    ),
    ("numeric", codec_for(column("REAL"), "numeric"), REALS.filter(lambda r: abs(r) < 1e309 and str(r) != "-0.0")),
    ("numeric", codec_for(column("NUMERIC"), "numeric"), INTEGERS | st.floats(-1e9, 1e9).filter(lambda r: r % 1)),
    ("numeric", codec_for(column("TEXT"), "numeric"), st.decimals(-(10**9), 10**9, places=2).map(str)),
    ("numeric(30, 4)", codec_for(column("NUMERIC"), "numeric(30,4)"), INTEGERS),
    ("numeric(12, 2)", codec_for(column("TEXT"), "numeric(12,2)"), st.decimals(1, 10**9, places=2).map(str)),
    ("date", codec_for(column(), "date"), st.dates().map(date.isoformat)),
    ("time", codec_for(column(), "time"), st.times().map(time.isoformat)),
    ("uuid", codec_for(column(), "uuid"), st.uuids().map(str)),
    ("uuid", codec_for(column(formats=("uuid-hex",)), "uuid"), st.uuids().map(lambda u: u.hex)),
    ("uuid", codec_for(column("BLOB", blobs=1), "uuid"), st.uuids().map(lambda u: u.bytes)),
    ("json", codec_for(column("TEXT"), "json"), JSON_TEXTS),
    ("json", codec_for(column("NUMERIC"), "json"), JSON_TEXTS.filter(lambda t: t[0] in '[{"') | st.integers(-9, 9)),
    ("jsonb", codec_for(column(), "jsonb"), st.sampled_from(['{"b": 1, "aa": [1.50, null]}', '"é\\n"', "true", "[]"])),
]


def taken_time(spelling: Spelling, *, zoned: bool) -> tuple[str, Codec, SearchStrategy[object]]:
    """The same for a time."""
    pg_type = "timestamptz" if zoned else "timestamp"
    return pg_type, codec_for(column(formats=(spelling.name,)), pg_type), time_texts(spelling)


TAKEN += [taken_time(spelling, zoned=bool(spelling.suffix)) for spelling in SPELLINGS]
TAKEN += [taken_time(Spelling(" ", "auto", ""), zoned=True), taken_time(Spelling("T", "3", "Z"), zoned=False)]

__all__ = ["AFFINITIES", "INTEGERS", "REALS", "TAKEN", "TEXTS", "VALUES", "column"]
