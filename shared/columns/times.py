"""Dates and times that SQLite keeps as text: one spelling a column, and that spelling comes back.

A *spelling* says the separator, the digits of the fraction and the suffix.  "auto" is the rule of Python's
``isoformat``, which Django and others follow: no fraction when it is zero, else six digits.

Many are read at once: one regular expression over all of them proves the spelling, and
``datetime.fromisoformat``, which alone would be more tolerant, reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache

from shared.columns.codec import Codec

DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1082, 1083, 1114, 1184
FRACTIONS = ("auto", "6", "3", "0", "1", "2", "4", "5")
SUFFIXES = ("+00:00", "Z", "")
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_AUTO = r"(?:\.(?!000000)[0-9]{6})?"
_MICRO_DIGITS = 6
_SECOND_END = len("2001-02-03 04:05:06")


def _fraction_shape(fraction: str) -> str:
    if fraction == "auto":
        return _AUTO
    return "" if fraction == "0" else rf"\.[0-9]{{{fraction}}}"


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

    def read_all(self, texts: Sequence[str]) -> list[datetime]:
        """The times, in UTC where there is a suffix; ValueError unless each is exactly as this spelling writes it."""
        if not _shape(self).fullmatch("\n".join(texts) + "\n"):
            raise ValueError(self.complaint)
        return list(map(datetime.fromisoformat, texts))

    def read(self, text: str) -> datetime:
        """One time; ValueError says what was expected."""
        try:
            return self.read_all((text,))[0]
        except ValueError:
            raise ValueError(self.complaint) from None

    def write(self, moment: datetime) -> str:
        """The text, without any zone; ValueError for a time with digits that the spelling has no place for."""
        if self.fraction == "auto":
            return moment.isoformat(self.separator) + self.suffix
        text = moment.isoformat(self.separator, "microseconds")
        end = _SECOND_END + (1 + int(self.fraction) if self.fraction != "0" else 0)
        if text[end:].strip(".0"):
            raise ValueError(f"a time with more than {self.fraction} digits behind the second")
        return text[:end] + self.suffix

    @property
    def complaint(self) -> str:
        """What is said of a text that is spelled otherwise."""
        example = self.write(datetime(2001, 2, 3, 4, 5, 6))  # noqa: DTZ001
        return f"TEXT that is no time spelled {example}"


@lru_cache(maxsize=64)
def _shape(spelling: Spelling) -> re.Pattern[str]:
    shape = f"{_DAY}{spelling.separator}{_CLOCK}{_fraction_shape(spelling.fraction)}{re.escape(spelling.suffix)}"
    return re.compile(f"(?:{shape}\n)*+")


@lru_cache(maxsize=64)
def time_codec(spelling: Spelling, *, zoned: bool, digits: int = _MICRO_DIGITS) -> Codec:
    """``timestamp`` or, zoned, ``timestamptz`` with that many digits; what has no zone is taken for UTC."""
    step = 10 ** (_MICRO_DIGITS - digits)

    def encode_all(texts: Sequence[str]) -> list[datetime]:
        moments = spelling.read_all(texts)
        if step > 1 and any(moment.microsecond % step for moment in moments):
            raise ValueError(f"TEXT of a time with more than {digits} digits behind the second")
        if zoned != bool(spelling.suffix):
            zone = UTC if zoned else None
            return [moment.replace(tzinfo=zone) for moment in moments]
        return moments

    def encode(text: str) -> datetime:
        spelling.read(text)
        return encode_all((text,))[0]

    def decode(moment: datetime) -> str:
        return spelling.write(moment.astimezone(UTC).replace(tzinfo=None) if zoned else moment)

    oid, name = (TIMESTAMPTZ, "timestamptz") if zoned else (TIMESTAMP, "timestamp")
    return Codec(name, oid, (str,), encode, decode, encode_all)


def spellings_of(text: str) -> list[Spelling]:
    """The spellings that write exactly this text."""
    separator, suffix = text[10:11], next(s for s in SUFFIXES if text.endswith(s))
    if separator not in (" ", "T"):
        return []
    return [found for f in FRACTIONS if _fits(found := Spelling(separator, f, suffix), (text,))]


def _fits(spelling: Spelling, texts: Sequence[str]) -> bool:
    try:
        spelling.read_all(texts)
    except ValueError:
        return False
    return True


def common_spellings(chunks: Iterable[Sequence[str]], *, lenient: bool = False) -> tuple[str, ...]:
    """The spelling that all these texts share, or "date", or nothing.

    Six digits throughout fit "6" and, unless all are zero, "auto"; ``lenient`` prefers "auto" then.
    """
    candidates: list[Spelling] | None = None
    dates = True
    for texts in chunks:
        if candidates is None and texts:
            candidates = spellings_of(texts[0])
        candidates = [spelling for spelling in candidates or () if _fits(spelling, texts)]
        dates = dates and not candidates and _are_dates(texts)
        if not candidates and not dates:
            return ()
    if candidates is None:
        return ()
    order = ("auto", "6") if lenient or any(s.fraction == "0" for s in candidates) else ("6", "auto")
    best = sorted(candidates, key=lambda s: order.index(s.fraction) if s.fraction in order else len(order))
    return (best[0].name,) if best else ("date",)


_DATES = re.compile(f"(?:{_DAY}\n)*+")
_CLOCKS = re.compile(f"(?:{_CLOCK}{_AUTO}\n)*+")


def _are_dates(texts: Sequence[str]) -> bool:
    try:
        _to_dates(texts)
    except ValueError:
        return False
    return True


def _to_dates(texts: Sequence[str]) -> list[date]:
    if not _DATES.fullmatch("\n".join(texts) + "\n"):
        raise ValueError("TEXT that is no date spelled 2001-02-03")
    return list(map(date.fromisoformat, texts))


def _to_date(text: str) -> date:
    try:
        return _to_dates((text,))[0]
    except ValueError:
        raise ValueError("TEXT that is no date spelled 2001-02-03") from None


def _to_clock(text: str) -> time:
    if not _CLOCKS.fullmatch(text + "\n"):
        raise ValueError("TEXT that is no time of day spelled 04:05:06 or 04:05:06.000007")
    return time.fromisoformat(text)


DATE_TEXT = Codec("date", DATE, (str,), _to_date, date.isoformat, _to_dates)
CLOCK_TEXT = Codec("time", TIME, (str,), _to_clock, time.isoformat)
