"""The door to PostgreSQL: opening a connection, and psycopg's errors in our words.

No message shows a password, nor any value of a row: only names, positions and the server's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, errors

from shared.errors import BadInput, Hold, Retry, Stop, SwitchbackError

_CONNECT_SECONDS = 10
_WRONG = ("28", "3D", "3F")  # SQLSTATE classes: authorization, no such database, no such schema
_PASSING = ("08", "40", "53", "55", "57", "58")  # connection, conflict, resources, lock, shutdown, system


def connect(dsn: str, *, application_name: str) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode; BadInput for what the operator must change, Retry for a server away."""
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        what = "the target is no connection string of PostgreSQL"
        raise BadInput(what, remedy="Write postgresql://user@host:5432/database") from error
    where = (
        f"{given.get('user', '')}@{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
    )
    keepalive: dict[str, Any] = {
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    options = {"connect_timeout": _CONNECT_SECONDS, "application_name": application_name[:63], **keepalive, **given}
    try:
        return psycopg.connect(autocommit=True, **options)
    except psycopg.OperationalError as error:
        raise _translate_connecting(error, where) from error


_REFUSALS = re.compile(
    r"password authentication failed|authentication failed for|no pg_hba\.conf entry|no encryption|"
    r'(role|database) ".*" does not exist|permission denied for database|not permitted to log in|'
    r"could not translate host name|server does not support SSL"
)
"""A server that is starting, recovering or full refuses too, with FATAL as well: that passes by itself."""


def _translate_connecting(error: psycopg.OperationalError, where: str) -> SwitchbackError:
    text, reason = str(error), _reason(str(error))
    if (error.sqlstate or "")[:2] in _WRONG or _REFUSALS.search(text):
        remedy = "Correct the target or its password"
        return BadInput(f"PostgreSQL refuses the connection: {reason}", where=where, remedy=remedy)
    if "no password supplied" in text:
        return BadInput("PostgreSQL asks for a password", where=where, remedy="Set target_password_file or PGPASSWORD")
    remedy = "It goes on by itself once the server answers"
    return Retry(f"PostgreSQL cannot be reached: {reason}", where=where, remedy=remedy)


def _reason(text: str) -> str:
    """The clause that matters, without the attempt's address before it and the hints below it."""
    clauses = [line.rsplit("failed:", 1)[-1] for line in text.splitlines() if "failed:" in line]
    clause = clauses[-1] if clauses else (text.strip().splitlines() or ["no answer"])[0]
    return clause.removeprefix(" FATAL:").strip()


@contextmanager
def translated(where: str = "") -> Iterator[None]:
    """Psycopg's errors as BadInput, Retry, Stop or Hold; ``where`` says what was being done."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, where) from error


def translate(error: psycopg.Error, where: str) -> SwitchbackError:
    """One error in our words."""
    state, said = error.sqlstate or "", _said(error)
    where = ", ".join(part for part in (where, _place(error)) if part)
    if isinstance(error, errors.InsufficientPrivilege):
        remedy = "Grant the role what the message names; `switchback check` lists all that is needed"
        return BadInput(f"the role may not do this: {said}", where=where, remedy=remedy)
    if state[:2] in _PASSING or (isinstance(error, psycopg.OperationalError) and not state):
        return Retry(f"PostgreSQL: {said}", where=where, remedy="It goes on by itself once the cause is gone")
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        remedy = "Change the row at the source or the constraint in PostgreSQL, then start again; nothing is lost"
        return Hold(f"PostgreSQL refuses the row: {said}", where=where, remedy=remedy)
    return Stop(f"PostgreSQL: {said}", where=where, remedy="Run `switchback check` on the target")


def _said(error: psycopg.Error) -> str:
    """The server's primary message: its detail may hold values, so it is left out."""
    return error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__


def _place(error: psycopg.Error) -> str:
    diag = error.diag
    named = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    return ", ".join(f"{kind} {name}" for kind, name in named if name)
