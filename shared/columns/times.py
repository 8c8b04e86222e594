"""Dates and times that SQLite keeps as text: one spelling a column, and that spelling comes back.

A *spelling* says the separator, the digits of the fraction and the suffix.  "auto" is the rule of Python's
``isoformat``, which Django and others follow: no fraction when it is zero, else six digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from shared.columns.codec import Codec

DATE, TIMESTAMP, TIMESTAMPTZ = 1082, 1114, 1184
_TIMESPEC = {"0": "seconds", "3": "milliseconds", "6": "microseconds", "auto": "auto"}
_SUFFIXES = ("+00:00", "Z", "")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a column writes its times; ``name`` is what a census keeps, e.g. ``time|T|6|Z``."""

    separator: str
    fraction: str
    suffix: str

    @property
    def name(self) -> str:
        """The spelling as text."""
        return f"time|{self.separator}|{self.fraction}|{self.suffix}"

    @classmethod
    def named(cls, name: str) -> Spelling:
        """The spelling of that name."""
        _, separator, fraction, suffix = name.split("|")
        return cls(separator, fraction, suffix)

    def read(self, text: str) -> datetime:
        """The time; ValueError unless the text is exactly as this spelling writes it."""
        core = text.removesuffix(self.suffix) if self.suffix else text
        time = datetime.fromisoformat(core)
        if time.tzinfo is not None or self.write(time) != text:
            message = f"TEXT that is no time spelled {self.example}"
            raise ValueError(message)
        return time.replace(tzinfo=UTC) if self.suffix else time

    def encode(self, text: str) -> datetime:
        """The same with one reason for all errors."""
        try:
            return self.read(text)
        except ValueError:
            message = f"TEXT that is no time spelled {self.example}"
            raise ValueError(message) from None

    def write(self, time: datetime) -> str:
        """The text."""
        return time.replace(tzinfo=None).isoformat(self.separator, _TIMESPEC[self.fraction]) + self.suffix

    @property
    def example(self) -> str:
        """For messages."""
        return self.write(datetime(2001, 2, 3, 4, 5, 6, 120000 if self.fraction != "0" else 0))  # noqa: DTZ001

    @property
    def codec(self) -> Codec:
        """Naive spellings are ``timestamp``, those with a suffix ``timestamptz``."""
        oid, name = (TIMESTAMPTZ, "timestamptz") if self.suffix else (TIMESTAMP, "timestamp")
        return Codec(name, oid, (str,), self.encode, self.write)


def spellings_of(text: str) -> list[Spelling]:
    """The spellings that write exactly this text, the more tolerant first."""
    suffix = next(s for s in _SUFFIXES if text.endswith(s))
    separator = text[10:11]
    if separator not in (" ", "T"):
        return []
    found = []
    for fraction in ("auto", "6", "3", "0"):
        spelling = Spelling(separator, fraction, suffix)
        try:
            spelling.read(text)
        except ValueError:
            continue
        found.append(spelling)
    return found


def common_spellings(texts: Iterable[str]) -> tuple[str, ...]:
    """Names of the spellings that all these texts share, best first; empty where they share none."""
    common: list[str] | None = None
    for text in texts:
        if common is not None and any(_reads(name, text) for name in common[:1]) and len(common) == 1:
            continue
        names = [spelling.name for spelling in spellings_of(text)] or (["date"] if _is_date(text) else [])
        common = names if common is None else [name for name in common if name in names]
        if not common:
            return ()
    return tuple(sorted(common or (), key=_preference))


def _preference(name: str) -> int:
    """Six digits throughout rather than "auto": who never left a fraction out will not begin to."""
    order = ["6", "auto", "3", "0"]
    return order.index(name.split("|")[2]) if "|" in name else 0


def _reads(name: str, text: str) -> bool:
    if name == "date":
        return _is_date(text)
    try:
        Spelling.named(name).read(text)
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _to_date(text: str) -> date:
    if not _is_date(text):
        message = "TEXT that is no date spelled 2001-02-03"
        raise ValueError(message)
    return date.fromisoformat(text)


DATE_TEXT = Codec("date", DATE, (str,), _to_date, date.isoformat)
