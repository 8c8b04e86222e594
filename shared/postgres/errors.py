"""Psycopg's errors as BadInput, Retry, Stop or Hold: the one place that knows SQLSTATEs.

No message shows a password, nor any value of a row: only names, positions and the server's own words,
without what those quote of a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from shared.errors import BadInput, Hold, Refused, Retry, Stop, SwitchbackError

_WRONG = ("28", "3D", "3F")  # SQLSTATE classes: authorization, no such database, no such schema
_PASSING = ("08", "26", "40", "53", "55", "57", "58")
"""Connection, prepared statement (a new session has it again), conflict, resources, lock, shutdown, system."""
_REFUSALS = re.compile(
    r"authentication failed for|no pg_hba\.conf entry|no encryption|"
    r'(role|database) ".*" does not exist|permission denied for database|not permitted to log in|'
    r"could not translate host name|Name or service not known|server does not support SSL|certificate|"
    r"connection is bad: invalid "
)
"""A server that is starting, recovering or full refuses too, with FATAL as well: that passes by itself."""

_TRIED_AGAIN = "A daemon goes on by itself, another command has to be run again, once"
_QUOTED = re.compile(r'"[^"]*"')
_DENIED = re.compile(r"permission denied for (\w+(?: \w+)*?) (\S+)$")
_OWNED = re.compile(r"must be owner of (\w+) (.+)$")


def translate_connecting(error: psycopg.OperationalError, where: str) -> SwitchbackError:
    """Why no connection came about."""
    text, reason = str(error), _reason(str(error))
    if "no password supplied" in text:
        return BadInput("PostgreSQL asks for a password", where=where, remedy="Set target_password_file or PGPASSWORD")
    if "password authentication failed" in text:
        remedy = "Correct the password; where it stands in a file, a daemon that runs reads it anew"
        return Refused(f"PostgreSQL refuses the connection: {reason}", where=where, remedy=remedy)
    if (error.sqlstate or "")[:2] in _WRONG or _REFUSALS.search(text):
        remedy = "Correct the target or its password"
        return BadInput(f"PostgreSQL refuses the connection: {reason}", where=where, remedy=remedy)
    remedy = f"{_TRIED_AGAIN} the server answers"
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
        return BadInput(f"the role may not do this: {said}", where=where, remedy=_grant(said))
    if isinstance(error, errors.ReadOnlySqlTransaction):
        remedy = f"{_TRIED_AGAIN} the server accepts writes (is it a standby?)"
        return Retry(f"PostgreSQL: {said}", where=where, remedy=remedy)
    if state[:2] in _PASSING or (isinstance(error, psycopg.OperationalError) and not state):
        return Retry(f"PostgreSQL: {said}", where=where, remedy=f"{_TRIED_AGAIN} the cause is gone")
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        remedy = "Change the row at the source or the constraint in PostgreSQL, then start again; nothing is lost"
        return Hold(f"PostgreSQL refuses the row: {said}", where=where, remedy=remedy)
    return Stop(f"PostgreSQL: {said}", where=where, remedy="Run `switchback check` on the target")


def _grant(said: str) -> str:
    """The statement that would help."""
    if found := _DENIED.search(said):
        kind = {"materialized view": "table", "view": "table"}.get(found[1], found[1])
        return f"As its owner: GRANT ALL ON {kind.upper()} {found[2]} TO the role"
    if found := _OWNED.search(said):
        return f"ALTER {found[1].upper()} {found[2]} OWNER TO the role"
    return "Grant the role what the message names; `switchback check` lists all that is needed"


def _said(error: psycopg.Error) -> str:
    """The server's primary message; what a data error quotes there is a value, and details hold values too."""
    text = error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
    return _QUOTED.sub("(a value)", text) if isinstance(error, psycopg.DataError) else text


def _place(error: psycopg.Error) -> str:
    diag = error.diag
    named = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    return ", ".join(f"{kind} {name}" for kind, name in named if name)
