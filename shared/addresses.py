"""Addresses of servers, looked at before anybody else reads them.  Pure.

A password with a character that its address must not hold is cut in two there: one part becomes a host, a port or a
database's name, and so is shown wherever those are, and libpq quotes it in its errors.  So what looks like that is
refused here, and nothing of it is quoted.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from shared.errors import BadInput

_KNOWN = """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer
    oauth_scope options passfile password port replication require_auth requirepeer scram_client_key scram_server_key
    service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl
    sslcrldir sslkey sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs
    tcp_user_timeout user
"""
OPTIONS = frozenset(_KNOWN.split())
"""All that libpq 18 knows; it is not asked itself, for to load it costs a program that never needs it too long."""
_HOST = r"(?:\[[^\]@/?]+\]|[^@/?:,\[\]]*)(?::\d*)?"
_PAIR = r"[^=&@]+=[^=&]*"
_TARGET = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?:]*(?::[^@/?]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@/?]*)?(?:\?((?:{_PAIR}(?:&{_PAIR})*)?))?"
)
_SPACE = r"[\t-\r ]"  # what C takes for one
_NOT_IN_URL = re.compile(rf"{_SPACE}|%(?![0-9A-Fa-f]{{2}})")
_WORD = re.compile(
    rf"{_SPACE}*([^\t-\r =]+){_SPACE}*={_SPACE}*+(?:'(?:[^'\\]|\\.)*'|(?!')(?:[^\t-\r \\]|\\.|\\\Z)*){_SPACE}*",
    re.DOTALL,
)
_BROKERS = re.compile(r"kafka://[^/?#\s]+/?")
_REMEDY = (
    "In a password @ : / ? # % and a space are written %40 %3A %2F %3F %23 %25 %20; better is a file:"
    " target_password_file (SWITCHBACK_TARGET_PASSWORD_FILE)"
)


def no_target() -> BadInput:
    """What is said of a target that cannot be read, without a word of it."""
    what = "the target is no address like postgresql://user@host:5432/name, or has an option that is not known"
    return BadInput(what, remedy=_REMEDY)


def check_target(dsn: str) -> None:
    """BadInput for an address of PostgreSQL that cannot be one, or would be read otherwise than it is meant."""
    is_url = dsn.startswith(("postgresql://", "postgres://"))
    names = _options_of_url(dsn) if is_url else _options_of_words(dsn)
    if not names <= OPTIONS or not _is_text(dsn, is_url=is_url):
        raise no_target()


def _options_of_url(dsn: str) -> set[str]:
    """The options behind its question mark; "" for what cannot be read, which is none."""
    found = _TARGET.fullmatch(dsn)
    if found is None or _NOT_IN_URL.search(dsn):
        return {""}
    pairs = [pair for pair in (found[1] or "").split("&") if pair and pair != "ssl=true"]
    return {unquote(pair.partition("=")[0]) for pair in pairs}


def _options_of_words(dsn: str) -> set[str]:
    """The same of ``host=h dbname=d``."""
    names, place = set(), 0
    while found := _WORD.match(dsn, place):
        names.add(found[1])
        place = found.end()
    return names if names and place == len(dsn) else {""}


def _is_text(dsn: str, *, is_url: bool) -> bool:
    """UTF-8 without NUL, also what is written with %."""
    try:
        text = unquote(dsn, errors="strict") if is_url else dsn
        return b"\0" not in text.encode()
    except UnicodeError:
        return False


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
