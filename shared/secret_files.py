"""Secrets that stand in files and are read anew whenever they are needed: so they can be changed without a stop."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from shared.addresses import no_target
from shared.errors import BadInput
from shared.redaction import redact


class FileSecret(SecretStr):
    """A secret that is all that stands in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("")
        self._path = path

    def get_secret_value(self) -> str:
        """What the file says now; BadInput where it cannot be read."""
        return read_secret(self._path)


class DsnWithFile(SecretStr):
    """A DSN whose password is all that stands in a file; ``plain`` is the DSN without it."""

    def __init__(self, dsn: str, path: Path) -> None:
        super().__init__("")
        self.plain = dsn
        self._path = path

    def get_secret_value(self) -> str:
        """The DSN with the password of now; BadInput where it is no DSN or the file cannot be read."""
        import psycopg.conninfo  # noqa: PLC0415  (capture from SQLite never needs it)

        try:
            return psycopg.conninfo.make_conninfo(self.plain, password=read_secret(self._path))
        except psycopg.Error:
            raise no_target() from None


def read_secret(path: Path) -> str:
    """The file's text without the end of its line."""
    try:
        text = path.expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"the password file cannot be read: {reason}", where=str(path)) from error
    if "\0" in text:
        raise BadInput("there is a character NUL in the password file", where=str(path))
    return text


def refuse_password(dsn: str | None) -> None:
    """BadInput for a DSN of a command line that has a password in it."""
    if dsn and redact(dsn) != dsn:
        remedy = "Put it into a file and name that with target_password_file, or give SWITCHBACK_TARGET"
        raise BadInput("a password on the command line can be read by everybody on this machine", remedy=remedy)
