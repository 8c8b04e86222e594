"""Passwords are taken out of whatever is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from operations.screen import say_json
from shared.redaction import redact

_SECRET = "s3cret"
_PART = st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters="&"), max_size=8)
"""Of a password as it may stand in an address, also where it should have been written with %."""


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://joe:s3cret@host/db",
        "postgresql://joe:s3cret@p@ss@host:5432/db?sslmode=require",
        "to postgresql://:s3cret@host failed",
        "host=h user=joe password=s3cret dbname=x",
        "host=h password = 's3cret \\' more' dbname=x",
        "postgresql://host/db?user=joe&password=s3cret&x=1",
        "sslpassword=s3cret",
        "SWITCHBACK_KAFKA_SASL_PASSWORD=s3cret",
        "kafka://joe:s3cret@broker:9092",
        "postgresql://h:5432/db?password=x@s3cret",
        "postgresql://h:5432/db?pass%77ord=s3cret&x=1",
        "postgresql://u:a?password=s3cret@h/db",
        "host=h password=a&s3cret",
        "host=h password=a\\ s3cret",
        "host=h password='a s3cret",
    ],
)
def test_a_password_is_hidden(text: str) -> None:
    shown = redact(text)
    assert "s3cret" not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", ["postgresql://joe@host/db", "mail joe@example.org: hello", "group 5 at offset 7"])
def test_what_has_no_password_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://joe:s3cret@host/db", "postgresql://joe:***@host/db"),
        ("postgresql://host/db?user=joe&password=s3cret&x=1", "postgresql://host/db?user=joe&password=***&x=1"),
        ("host=h password='s3cret' dbname=x", "host=h password=*** dbname=x"),
        ("postgresql://h/db?password=&x=1", "postgresql://h/db?password=&x=1"),
    ],
)
def test_what_stands_around_a_password_is_still_shown(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(_PART, _PART)
def test_no_part_of_a_password_in_an_address_is_shown(before: str, after: str) -> None:
    password = f"{before}{_SECRET}{after}"
    assert _SECRET not in redact(f"postgresql://h:5432/db?password={password}")
    assert _SECRET not in redact(f"cannot reach postgresql://u:{password}@h:5432/db?sslmode=require")
    assert _SECRET not in redact(f"postgresql://u:{password}@h:5432/db?password={password}&x=1")


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.text(st.characters(codec="ascii")))
def test_no_part_of_a_password_among_keywords_is_shown(before: str, after: str) -> None:
    password = f"{before}{_SECRET}{after}".replace("\0", "")
    assert _SECRET not in redact(make_conninfo(host="h", password=password, dbname="x"))


@given(st.lists(st.sampled_from(["as it is", "%02x", "%02X"]), min_size=8, max_size=8), st.sampled_from(["", "ssl"]))
def test_a_password_is_hidden_however_its_option_is_written(ways: list[str], prefix: str) -> None:
    letters = zip("password", ways, strict=True)
    option = "".join(letter if way == "as it is" else "%" + way % ord(letter) for letter, way in letters)
    assert redact(f"postgresql://h/db?{prefix}{option}={_SECRET}&x=1") == f"postgresql://h/db?{prefix}{option}=***&x=1"


def test_json_stays_json_where_a_password_is_hidden_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A row's value, or an error, may hold what looks like one; what follows it is another string."""
    say_json([{"error": "host=h password=s3cret", "next": 1}, {"value": "postgresql://u:s3cret@h/d", "key": ["a"]}])
    said = capsys.readouterr().out
    assert json.loads(said)[0]["next"] == 1
    assert json.loads(said)[1]["key"] == ["a"]
    assert "s3cret" not in said
