"""The door to PostgreSQL: opening a connection, and psycopg's errors in our words (see ``errors`` beside it)."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.types.string import TextBinaryLoader, TextLoader

from shared.addresses import no_target
from shared.errors import BadInput
from shared.postgres.errors import translate, translate_connecting, translated

__all__ = ["connect", "translate", "translated"]

_CONNECT_SECONDS = 10
_KEEPALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_SESSION = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 3; SET client_encoding = 'UTF8';
SET quote_all_identifiers = off;
SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""What the meaning of values and names hangs on must not be left to the settings of a role or a database; nor what a
crash undoes: a fence that was only almost committed, and both sides would take writes."""

_HOME = """
SELECT set_config('search_path', string_agg(quote_ident(name), ', ' ORDER BY number), false)
  FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, number)
 WHERE name <> 'switchback' HAVING count(*) > 0
"""
"""The application's tables must never come to lie in Switchback's own schema, to which the usual search path leads a
role of that name as soon as there is such a schema; it goes with all that is in it when the migration is completed."""


def connect(dsn: str, *, application_name: str) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode; BadInput for what the operator must change, Retry for a server away.

    json and jsonb are loaded as the texts that they are.
    """
    given = _read(dsn)
    where = (
        f"{given.get('user', '')}@{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
    )
    options = {"connect_timeout": _CONNECT_SECONDS, "application_name": application_name[:63], **_KEEPALIVE, **given}
    try:
        db = psycopg.connect(autocommit=True, **options)
    except psycopg.OperationalError as error:
        raise translate_connecting(error, where) from error
    except psycopg.ProgrammingError:  # an option that libpq does not know, or a value that it cannot read
        what = "the target's connection string has an option that is unknown or cannot be read"
        raise BadInput(what, where=where, remedy="Write postgresql://user@host:5432/database") from None
    except UnicodeError:  # Python looks names up, and refuses some before asking anybody
        what = "the target's host name cannot be one"
        raise BadInput(what, where=where, remedy="Write postgresql://user@host:5432/database") from None
    try:
        _settle(db)
    except psycopg.Error as error:
        db.close()
        raise translate(error, where) from error
    return db


def _read(dsn: str) -> dict[str, Any]:
    try:
        return conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise no_target() from None


def server_of(dsn: str) -> str:
    """``host:port`` of a connection string, for messages."""
    given = _read(dsn)
    return f"{given.get('host') or given.get('hostaddr') or 'localhost'}:{given.get('port') or 5432}"


def _settle(db: psycopg.Connection[Any]) -> None:
    db.execute(_SESSION)
    db.execute(_HOME)
    for name, binary in (("json", TextBinaryLoader), ("jsonb", _JsonbTextLoader)):
        db.adapters.register_loader(name, TextLoader)
        db.adapters.register_loader(name, binary)


class _JsonbTextLoader(TextBinaryLoader):
    """Binary jsonb is its text behind one byte, the version."""

    def load(self, data: bytes | bytearray | memoryview) -> str:
        """The text."""
        return bytes(data[1:]).decode()
