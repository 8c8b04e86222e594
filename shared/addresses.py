"""Addresses of servers, looked at before anybody else reads them.  Pure.

A password with a character that its address must not hold is cut in two there: one part becomes a host, a port or a
database's name, and so is shown wherever those are, and libpq quotes it in its errors.  So what looks like that is
refused here, and nothing of it is quoted.
"""

from __future__ import annotations

import re

from shared.errors import BadInput

_HOST = r"(?:\[[^\]@/?]*\]|[^@/?:,\[\]]*)(?::\d*)?"
_PAIR = r"[^=&@]+=[^&]*"
_TARGET = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?:]*(?::[^@/?]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@/?]*)?(?:\?(?:{_PAIR}(?:&{_PAIR})*)?)?"
)
_BROKERS = re.compile(r"kafka://[^/?#\s]+/?")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REMEDY = (
    "In a password @ : / ? # % are written %40 %3A %2F %3F %23 %25; better is a file: target_password_file"
    " (SWITCHBACK_TARGET_PASSWORD_FILE)"
)


def no_target() -> BadInput:
    """What is said of a target that cannot be read, without a word of it."""
    what = "the target is no address like postgresql://user@host:5432/name, or has an option that is not known"
    return BadInput(what, remedy=_REMEDY)


def check_target(dsn: str) -> None:
    """BadInput for an address of PostgreSQL that cannot be one, or would be read otherwise than it is meant."""
    if "://" not in dsn:
        if "=" not in dsn:
            raise no_target()
    elif not _TARGET.fullmatch(dsn) or _LONE_PERCENT.search(dsn):
        raise no_target()


def check_log(url: str) -> None:
    """BadInput for an address of neither form, and for a broker's with a user or a password in it."""
    if not url or url.startswith("embedded:"):
        return
    if "@" in url:
        remedy = "Give kafka://HOST:PORT alone, and sasl_user and sasl_password_file of [kafka]"
        raise BadInput("the log's address has a user or a password in it", remedy=remedy)
    if not _BROKERS.fullmatch(url):
        raise no_log()


def no_log() -> BadInput:
    """What is said of a log's address that cannot be read, likewise."""
    return BadInput("the log's address is of neither form", remedy="Use embedded:PATH or kafka://HOST:PORT,...")
