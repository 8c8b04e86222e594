"""DATABASE_URL for either side, as the application is to have it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from shared.errors import BadInput
from shared.settings import Settings

_FORBIDDEN = str.maketrans({"'": "%27", " ": "%20"})


def sqlite_address(settings: Settings) -> str:
    """As given, else ``sqlite:////path``; BadInput where neither is known."""
    if not settings.app_sqlite_url and settings.source == Path():
        raise BadInput("the application's address of SQLite is not known", remedy="Give --source, or app_sqlite_url")
    return settings.app_sqlite_url or f"sqlite:///{settings.source}"


def postgres_address(settings: Settings) -> str:
    """As given, else the target as a URL; BadInput where neither is known."""
    given = settings.app_postgres_url.get_secret_value() or settings.target.get_secret_value()
    if not given:
        what = "the application's address of PostgreSQL is not known"
        raise BadInput(what, remedy="Give --target, or app_postgres_url_file")
    return given.translate(_FORBIDDEN) if "://" in given else _as_url(given)


def _as_url(keywords: str) -> str:
    """``host=h dbname=d ...`` as ``postgresql://h/d``."""
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(keywords).items() if value is not None}
    except ProgrammingError:
        raise BadInput("the target is no connection string of PostgreSQL", remedy="Set app_postgres_url") from None
    user, password = (quote(parts.pop(name, ""), safe="") for name in ("user", "password"))
    host, port = parts.pop("host", ""), parts.pop("port", "")
    name = quote(parts.pop("dbname", ""), safe="")
    if host.startswith("/") or "," in host:  # a socket's folder, several hosts: as libpq's own URLs have them
        parts, host = {"host": host, **({"port": port} if port else {}), **parts}, ""
    elif ":" in host:
        host = f"[{host}]"
    who = f"{user}{password and ':'}{password}@" if user else ""
    where = f"{host}{host and port and ':'}{port if host else ''}"
    if port and not host:
        parts.setdefault("port", port)
    options = f"?{urlencode(parts, quote_via=quote)}" if parts else ""
    return f"postgresql://{who}{where}/{name}{options}"
