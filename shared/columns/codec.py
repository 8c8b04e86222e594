"""What a column codec is: a pair of functions with a law.

``to_sqlite(to_postgres(v)) == v``, of the same storage class, for every value that it accepts; every
other value is rejected by name (Unfit).  NULL is NULL in both databases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.groups import RawText

_CLASSES = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB", RawText: "TEXT that is not UTF-8"}
_NONE = type(None)


class Unfit(ValueError):
    """A value that a column cannot take; ``index`` is its place in what was given, the reason names no value."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        self.reason = reason
        super().__init__(reason)


def storage_class(value: object) -> str:
    """SQLite's word for a value's storage class."""
    return _CLASSES.get(type(value), "NULL" if value is None else type(value).__name__)


def same(value: Any) -> Any:  # noqa: ANN401  (whatever it is)
    """The value as it is."""
    return value


@dataclass(frozen=True, slots=True)
class Codec:
    """One column's way to PostgreSQL and back; values of other classes than ``accepts`` are unfit.

    ``oid`` is the type whose binary form psycopg writes in a COPY.  ``encode`` and ``decode`` never see NULL;
    ``encode`` raises ValueError with the reason for a value it cannot keep.  ``bulk`` does the same for many
    values at once, and may be vague about the reason.  A codec is ``strict`` where psycopg or PostgreSQL itself
    refuses what it does not accept, so that a COPY may go unchecked and be looked at only when it fails.
    It is ``alike`` where only values that SQLite cannot have are changed by ``decode``.
    """

    name: str
    oid: int
    accepts: tuple[type, ...]
    encode: Callable[[Any], Any] = same
    decode: Callable[[Any], Any] = same
    bulk: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    strict: bool = False
    alike: bool = False

    @property
    def plain(self) -> bool:
        """Whether PostgreSQL's values are SQLite's as they are, if SQLite can have them."""
        return self.alike or self.decode is same

    def to_postgres(self, value: Any) -> Any:  # noqa: ANN401
        """One value."""
        return self.to_postgres_column((value,))[0]

    def to_sqlite(self, value: Any) -> Any:  # noqa: ANN401
        """One value as psycopg loads it (text or binary), as SQLite held it; ValueError if SQLite cannot have it."""
        return None if value is None else self.decode(value)

    def to_postgres_column(self, values: Sequence[Any]) -> Sequence[Any]:
        """Many values, each checked; those that go as they are come back as the same object."""
        classes = set(map(type, values))
        if not classes.issubset((_NONE, *self.accepts)):
            self._reject_class(values)
        if self.encode is same or classes <= {_NONE}:
            return values
        try:
            if _NONE not in classes:
                return self._encode(values)
            filled = iter(self._encode([value for value in values if value is not None]))
        except ValueError:
            self._reject_value(values)
            raise
        return [None if value is None else next(filled) for value in values]

    def to_copy(self, values: Sequence[Any]) -> Sequence[Any]:
        """Many values for a COPY: unchecked where psycopg or PostgreSQL checks."""
        return values if self.strict else self.to_postgres_column(values)

    def _encode(self, values: Sequence[Any]) -> Sequence[Any]:
        return self.bulk(values) if self.bulk else list(map(self.encode, values))

    def _reject_class(self, values: Sequence[Any]) -> None:
        for index, value in enumerate(values):
            if value is not None and type(value) not in self.accepts:
                wanted = " or ".join(dict.fromkeys(_CLASSES[kind] for kind in self.accepts))
                raise Unfit(index, f"{storage_class(value)} where {self.name} keeps {wanted}")

    def _reject_value(self, values: Sequence[Any]) -> None:
        for index, value in enumerate(values):
            try:
                if value is not None:
                    self.encode(value)
            except ValueError as error:
                raise Unfit(index, str(error)) from error
