"""Comparing rows to the bit: value and storage class.  Pure.

Python's ``==`` will not do: 1 == 1.0 == True and 0.0 == -0.0.  The MessagePack of two values is equal
just where class and bits are, and comparing that of whole columns is as fast as comparing lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from shared import wire

Key = tuple[Any, ...]
Row = Sequence[Any]


def same(mine: object, theirs: object) -> bool:
    """Whether two rows, columns or lists of them are the same to the bit."""
    try:
        return wire.encode(mine) == wire.encode(theirs)
    except (NotImplementedError, OverflowError):  # something in there is no value that SQLite can hold
        return repr(mine) == repr(theirs)


def by_key(rows: Sequence[Row], places: Sequence[int]) -> dict[Key, Row]:
    """Rows by their keys; 1 and 1.0 count as one key, as they do in SQLite's index."""
    if len(places) == 1:
        place = places[0]
        return {(row[place],): row for row in rows}
    return dict(zip(map(itemgetter(*places), rows), rows, strict=True))


def differing_keys(mine: Mapping[Key, Row], theirs: Mapping[Key, Row]) -> list[Key]:
    """Keys whose rows are not the same, or are on one side alone; each as its own side holds it."""
    if len(mine) == len(theirs) and same(list(mine.values()), list(map(theirs.get, mine))):
        return []
    found = [key for key, row in mine.items() if key not in theirs or not same(row, theirs[key])]
    return found + [key for key in theirs if key not in mine]


def of_kinds(rows: Iterable[Row], places: Sequence[int], kinds: Sequence[type]) -> bool:
    """Whether the values in these places are of exactly these classes: then all sides order them alike."""
    return all(
        set(map(type, map(itemgetter(place), rows))) <= {kind} for place, kind in zip(places, kinds, strict=True)
    )
