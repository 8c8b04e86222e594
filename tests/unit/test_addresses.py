"""What a badly written address does not show: a password that is cut in two by its own characters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from shared.addresses import OPTIONS, check_log, check_target
from shared.errors import BadInput
from shared.settings import load_settings


@pytest.mark.parametrize(
    "dsn",
    [
        "u:s3cret9@h/db",
        "s3cret9",
        "postgresql://u:s3c%ret9@h/db",
        "postgresql://u:s3c@ret9@127.0.0.1:55999/db",
        "postgresql://u:s3c/ret9@127.0.0.1:55999/db",
        "postgresql://u:12/ret9@127.0.0.1:55999/db",
        "postgresql://u:s3c?ret9@127.0.0.1/db",
        "postgresql://u:12?ret9@127.0.0.1/db",
        "postgresql://u:12?a=ret9@127.0.0.1/db=c&d@e",
        "mysql://u:s3cret9@h/db",
        "postgresql://u:s3c ret9@127.0.0.1/db",
        "postgresql://u:s3c\tret9@127.0.0.1/db",
        "postgresql://127.0.0.1/db?s3cret9=x",
        "postgresql://127.0.0.1/db?sslmode=s3c=ret9",
        "postgresql://u:s3c%00ret9@127.0.0.1/db",
        "postgresql://u:s3c%ffret9@127.0.0.1/db",
        "host=127.0.0.1 password=s3c ret9",
        "host=127.0.0.1 password='s3c ret9",
        "host=127.0.0.1 s3cret9=x",
    ],
)
def test_an_address_that_is_none_is_refused_without_a_word_of_it(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBACK_TARGET", dsn)
    with pytest.raises(BadInput) as refused:
        load_settings(None, {"source": "app.db"})
    assert not [part for part in ("ret9", "s3c", "127.0.0.1") if part in str(refused.value)]
    assert "%40" in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://joe@host/db",
        "postgres://joe:s3:cr#t%40%2F@host:5432/db?sslmode=require&application_name=a%20b",
        "postgresql://joe:pw@[::1]:5432/db",
        "postgresql://one:5432,two,[::1]:5433/db?target_session_attrs=read-write",
        "postgresql:///db?host=/var/run/postgresql&user=joe",
        "postgresql://%2Fvar%2Frun/db",
        "postgresql://host",
        "postgresql://h/db?ssl=true&pass%77ord=x",
        "host=h user=joe password=s3@cr/t dbname=x",
        "host = 'h'user=joe password='s3 \\'cr\\\\t' dbname=a\\ b ",
        "host=h password=a://b%ff%",
        "service=app",
    ],
)
def test_what_libpq_reads_as_it_is_meant_is_taken(dsn: str) -> None:
    check_target(dsn)


_PIECES = (
    *("postgresql://", "postgres://", "host", "password", "dbname", "sslmode", "foo", "h", "5432", "::1"),
    *(":", "@", "/", "?", "&", "=", "#", ",", "[", "]", "'", "\\", " ", "\t", "\n", "\0", "\xe9", "\udcff"),
    *("%20", "%", "%00", "%ff", "%c3%a9", "pass%77ord", "ssl=true", "postgresql://h/db?", "host=h "),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
@example("postgresql://u@[]/db")
@example("host=h password='a'dbname")
def test_what_is_taken_can_be_read_by_libpq(dsn: str) -> None:
    try:
        check_target(dsn)
    except BadInput:
        return
    conninfo_to_dict(dsn)


def test_every_option_of_this_libpq_is_known() -> None:
    assert {option.keyword.decode() for option in pq.Conninfo.get_defaults()} <= OPTIONS


def test_a_broker_s_address_holds_no_password() -> None:
    check_log("kafka://one:9092,two:9092")
    check_log("embedded:/home/me@work/log.db")
    with pytest.raises(BadInput) as refused:
        check_log("kafka://joe:s3cret@one:9092")
    assert "s3cret" not in str(refused.value)
