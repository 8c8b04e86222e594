"""For applications with SQLAlchemy: an engine that is always the primary's.

    from operations.application.following import switchback_engine

    following = switchback_engine(env_file=".env", url="sqlite:////srv/app.db")
    following.run(lambda db: db.execute(text("UPDATE stock SET n = n - 1 WHERE id = :id"), {"id": 7}))

Where the primary is stands in the env file (DATABASE_URL), which is looked at before each unit of work; ``url``
counts until there is one.  A wrong or old answer does no harm: the fence in the database refuses the write, and
``run`` does the whole unit again once it knows better.

It never repeats what may have been committed: once COMMIT is under way only SQLite's "database is locked" is tried
again, which says that nothing was committed.  Any other error of a COMMIT is the caller's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from operations.application.env_watch import Stamp, stamp_of
from operations.application.refusals import Moved, is_busy, is_lock, is_refusal
from operations.telling.env_file import URL as URL_NAME
from operations.telling.env_file import read_env_file
from shared.errors import BadInput, Stop

__all__ = ["Following", "Moved", "switchback_engine"]

_SHORTEST, _LONGEST, _GROWTH = 0.005, 0.1, 1.5  # pauses between two tries, in seconds
_BUSY_SECONDS = 10.0  # longer than writers are held by default
_MET = "switchback_met_fence"
_BEGIN = "switchback_begin"

Result = TypeVar("Result")


def switchback_engine(
    env_file: str | Path,
    *,
    url: str = "",
    patience: float = 30.0,
    sqlite: Mapping[str, Any] | None = None,
    postgres: Mapping[str, Any] | None = None,
    **engine_options: Any,  # noqa: ANN401  (create_engine's)
) -> Following:
    """An engine that follows the primary.

    ``patience`` is how many seconds a unit of work is tried again for; ``sqlite`` and ``postgres`` are options of
    ``create_engine`` for that side alone, ``engine_options`` for both.
    """
    sides = {"sqlite": {**engine_options, **(sqlite or {})}, "postgresql": {**engine_options, **(postgres or {})}}
    if any(options.get("isolation_level") == "AUTOCOMMIT" for options in sides.values()):
        raise BadInput("a unit of work needs a transaction", where="isolation_level AUTOCOMMIT", remedy="Leave it out")
    return Following(Path(env_file), url, patience, sides)


class _Current(NamedTuple):
    stamp: Stamp
    url: URL
    engine: Engine


class Following:
    """Give out connections to the primary; may be shared by threads."""

    def __init__(self, env_file: Path, url: str, patience: float, sides: Mapping[str, Mapping[str, Any]]) -> None:
        self._env_file = env_file
        self._first = url
        self._patience = patience
        self._sides = sides
        self._lock = threading.Lock()
        self._current: _Current | None = None

    @property
    def engine(self) -> Engine:
        """The primary's, as the env file has it right now; BadInput where that says nothing."""
        current, stamp = self._current, stamp_of(self._env_file)
        if current is not None and current.stamp == stamp:
            return current.engine
        with self._lock:
            return self._follow().engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that writes, tried once; Moved where it met the fence, whatever the block made of that."""
        with self._connect("IMMEDIATE") as connection, connection.begin():
            yield connection
            _check(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads; on SQLite it makes no writer wait."""
        with self._connect("DEFERRED") as connection, connection.begin():
            yield connection

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in one transaction, as often as it takes to get it to the primary, for ``patience`` seconds.

        It may be called several times, so what it does besides the database must bear that.
        """
        end = time.monotonic() + self._patience
        pause = _SHORTEST
        while True:
            committing = False
            try:
                with self._connect("IMMEDIATE") as connection, connection.begin():
                    result = work(connection)
                    _check(connection)
                    committing = True
            except (Moved, DBAPIError) as error:
                if not _may_repeat(error, committing=committing) or time.monotonic() + pause > end:
                    raise
            else:
                return result
            self._wait(pause)
            pause = min(pause * _GROWTH, _LONGEST)

    def dispose(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            if self._current:
                self._current.engine.dispose()
            self._current = None

    def _connect(self, begin: str) -> Connection:
        connection = self.engine.connect().execution_options(**{_BEGIN: begin})
        connection.info.pop(_MET, None)
        return connection

    def _wait(self, seconds: float) -> None:
        """Wait, but no longer than until the env file changes."""
        end, stamp = time.monotonic() + seconds, stamp_of(self._env_file)
        while time.monotonic() < end and stamp_of(self._env_file) == stamp:
            time.sleep(_SHORTEST)

    def _follow(self) -> _Current:
        """The engine for what the env file says; the one before lets its connections go as they come back."""
        stamp = stamp_of(self._env_file)
        before = self._current
        if before is not None and before.stamp == stamp:
            return before
        url = self._read_url(stamp)
        if before is not None and before.url == url:
            self._current = _Current(stamp, url, before.engine)
            return self._current
        self._current = _Current(stamp, url, _make_engine(url, self._sides))
        if before is not None:
            before.engine.dispose()
        return self._current

    def _read_url(self, stamp: Stamp) -> URL:
        given = (read_env_file(self._env_file).get(URL_NAME) if stamp else None) or self._first
        if not given:
            raise BadInput(f"no {URL_NAME} in the env file", where=str(self._env_file), remedy="Give url as well")
        try:
            url = make_url(given)
        except ArgumentError:  # its own text shows the address, which may hold a password
            raise BadInput(f"{URL_NAME} is no address", where=str(self._env_file)) from None
        return url.set(drivername="postgresql+psycopg") if url.drivername in {"postgres", "postgresql"} else url


def _make_engine(url: URL, sides: Mapping[str, Mapping[str, Any]]) -> Engine:
    options = dict(sides.get(url.get_backend_name(), {}))
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS, **options.get("connect_args", {})}
    engine = create_engine(url, **options)
    event.listen(engine, "handle_error", _notice)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _leave_begin_to_us)
        event.listen(engine, "begin", _begin)
    return engine


def _leave_begin_to_us(connection: Any, _record: object) -> None:  # noqa: ANN401  (any SQLite driver's)
    """Python's own would begin only at the first write: too late to wait for other writers."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    """A writer waits for its turn here; one that has read already would be refused at once instead of waiting."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")


def _notice(context: ExceptionContext) -> None:
    """The fence's error under a name of its own: it is no violated constraint, and not to be taken for one."""
    if is_refusal(context.original_exception):
        if context.connection is not None:
            context.connection.info[_MET] = True
        raise _moved() from context.original_exception


def _check(connection: Connection) -> None:
    """A unit that met the fence is not committed, even if it has passed over the error.

    Nor is one that passed over another error on PostgreSQL: COMMIT would undo it all there, and say nothing.
    """
    if connection.info.pop(_MET, False):
        raise _moved()
    driver = connection.connection.dbapi_connection
    if getattr(getattr(driver, "info", None), "transaction_status", None) == TransactionStatus.INERROR:
        what = "a statement failed and the unit of work went on: PostgreSQL will not commit it"
        raise Stop(what, remedy="Do what may fail inside connection.begin_nested()")


def _moved() -> Moved:
    return Moved("this database is not the primary", remedy="Begin the whole transaction anew on the other")


def _may_repeat(error: Moved | DBAPIError, *, committing: bool) -> bool:
    if isinstance(error, Moved):
        return True
    return is_busy(error) if committing else is_lock(error)
