"""``switchback check``: whether a migration can begin.  Every check runs, whatever the others say.

"Could not run" is a result of its own: it means that nothing is known, not that nothing was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from shared.errors import Retry, SwitchbackError
from shared.findings import Finding

Outcome = Literal["ok", "note", "warn", "refuse", "could not run"]

_WORST_FIRST: tuple[Outcome, ...] = ("refuse", "could not run", "warn", "note", "ok")


class Result(Struct, frozen=True):
    """What one check says; a check may have several results."""

    check: str
    outcome: Outcome
    what: str
    where: str = ""
    remedy: str = ""


class Check(Struct, frozen=True):
    """A named check: ``look`` gives its findings, and an error where it cannot look."""

    name: str
    look: Callable[[], Iterable[Result | Finding | str]]
    """A string is what was found to be right."""


def run_checks(checks: Iterable[Check]) -> list[Result]:
    """All results, in the order of the checks."""
    return [result for check in checks for result in _run(check)]


def exit_code(results: Iterable[Result]) -> int:
    """0 where nothing refuses and everything could be looked at."""
    return 1 if any(result.outcome in {"refuse", "could not run"} for result in results) else 0


def worst(results: Iterable[Result]) -> Outcome:
    """The worst outcome of all."""
    outcomes = {result.outcome for result in results}
    return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), "ok")


def _run(check: Check) -> list[Result]:
    results: list[Result] = []
    try:
        results += [_as_result(check.name, found) for found in check.look()]
    except Retry as error:
        results.append(Result(check.name, "could not run", error.what, error.where, error.remedy))
    except SwitchbackError as error:
        results.append(Result(check.name, "refuse", error.what, error.where, error.remedy))
    return results or [Result(check.name, "ok", "nothing found")]


def _as_result(name: str, found: Result | Finding | str) -> Result:
    if isinstance(found, Result):
        return found
    if isinstance(found, Finding):
        return Result(name, found.level, found.what, found.where, found.remedy)
    return Result(name, "ok", found)
