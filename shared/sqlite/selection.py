"""Which tables are meant by the operator's names, and in which order they are copied.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from shared.errors import BadInput
from shared.nearest import nearest
from shared.sqlite.ddl import fold
from shared.tables import Table


def select_names(known: Sequence[str], tables: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The known names that ``tables`` (all, if empty) match and ``exclude`` does not; BadInput for a vain pattern.

    A pattern is a name, or has ``*`` and ``?`` in it; ASCII letters compare without case.
    """
    wanted = names_in_order(known, tables) if tables else known
    unwanted = names_in_order(known, exclude)
    return [name for name in known if name in wanted and name not in unwanted]


def names_in_order(known: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The known names that the patterns match, pattern by pattern; BadInput for one that matches none."""
    found: list[str] = []
    for pattern in patterns:
        matching = [name for name in known if _matches(name, pattern)]
        if not matching:
            raise BadInput("no table has this name", where=pattern, remedy=nearest(pattern, known))
        found += matching
    return found


def _matches(name: str, pattern: str) -> bool:
    return fold(name) == fold(pattern) or fnmatchcase(fold(name), fold(pattern))


def parents_first(tables: Sequence[Table], first: Iterable[str] = ()) -> list[Table]:
    """The tables with each foreign key's parent before its child.

    Among those that may come next, the names in ``first`` lead, in their order, then the order given.
    A prioritised table pulls its parents before it.  In a cycle the earliest in that order goes first.
    """
    by_name = {table.name: table for table in tables}
    done: dict[str, Table] = {}

    def visit(name: str, path: frozenset[str]) -> None:
        if name in done or name in path or name not in by_name:
            return
        for parent in sorted({key.parent for key in by_name[name].foreign_keys}, key=list(by_name).index):
            visit(parent, path | {name})
        done.setdefault(name, by_name[name])

    for name in (*first, *by_name):
        visit(name, frozenset())
    return list(done.values())
