"""Which refusals of PostgreSQL pass by themselves, and which the operator must see to."""

from __future__ import annotations

import psycopg
import pytest

from shared.errors import BadInput, Retry
from shared.postgres.errors import translate_connecting

AT = 'connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            f"{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "Connection refused",
        ),
        (f"{AT}FATAL:  the database system is starting up", "the database system is starting up"),
        (
            f"{AT}FATAL:  the database system is not yet accepting connections\nDETAIL:  Not consistent yet.",
            "the database system is not yet accepting connections",
        ),
        (f"{AT}FATAL:  the database system is shutting down", "the database system is shutting down"),
        (f"{AT}FATAL:  sorry, too many clients already", "sorry, too many clients already"),
        (
            f"{AT}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        ),
        ("connection timeout expired", "connection timeout expired"),
    ],
)
def test_a_server_that_is_away_starting_or_full_is_waited_for(text: str, reason: str) -> None:
    found = translate_connecting(psycopg.OperationalError(text), "joe@host:5432/app")
    assert isinstance(found, Retry)
    assert found.what == f"PostgreSQL cannot be reached: {reason}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{AT}FATAL:  password authentication failed for user "joe"', 'password authentication failed for user "joe"'),
        (f'{AT}FATAL:  database "app" does not exist', 'database "app" does not exist'),
        (f'{AT}FATAL:  role "joe" does not exist', 'role "joe" does not exist'),
        (
            f'{AT}FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "joe", database "app", no encryption',
            'no pg_hba.conf entry for host "10.0.0.1", user "joe", database "app", no encryption',
        ),
        (f"{AT}fe_sendauth: no password supplied", ""),
        ('could not translate host name "nowhere" to address: Name or service not known', ""),
    ],
)
def test_what_waiting_does_not_mend_is_the_operators(text: str, reason: str) -> None:
    found = translate_connecting(psycopg.OperationalError(text), "joe@host:5432/app")
    assert isinstance(found, BadInput)
    assert reason in found.what
