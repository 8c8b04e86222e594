"""Passwords are taken out of whatever is shown."""

from __future__ import annotations

import pytest

from shared.redaction import redact


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
    ],
)
def test_a_password_is_hidden(text: str) -> None:
    shown = redact(text)
    assert "s3cret" not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", ["postgresql://joe@host/db", "mail joe@example.org: hello", "group 5 at offset 7"])
def test_what_has_no_password_is_left_alone(text: str) -> None:
    assert redact(text) == text
