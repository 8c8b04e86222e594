"""``switchback check``: whether a migration can begin.  Every check runs, whatever the others say.

"Could not run" is a result of its own: it means that nothing is known, not that nothing was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from shared.errors import BadInput, Retry, SwitchbackError
from shared.findings import Finding

Outcome = Literal["ok", "note", "warn", "refuse", "could not run"]

_WORST_FIRST: tuple[Outcome, ...] = ("refuse", "could not run", "warn", "note", "ok")


class Result(Struct, frozen=True):
    """What one check says; a check may have several results.

    ``wrong_input`` says that it could not look because of the operator's words: a file, an address, a setting.
    """

    check: str
    outcome: Outcome
    what: str
    where: str = ""
    remedy: str = ""
    wrong_input: bool = False


class Check(Struct, frozen=True):
    """A named check: ``look`` gives its findings, a string being one that is right, and raises where it cannot look.

    ``needs`` names checks without which this one has nothing to look at.
    """

    name: str
    look: Callable[[], Iterable[Result | Finding | str]]
    needs: tuple[str, ...] = ()


def run_checks(checks: Iterable[Check]) -> list[Result]:
    """All results, in the order of the checks."""
    results: list[Result] = []
    failed: set[str] = set()
    for check in checks:
        if missing := [name for name in check.needs if name in failed]:
            results.append(Result(check.name, "could not run", f"it needs the {' and the '.join(missing)}"))
            failed.add(check.name)
            continue
        found, error = _run(check)
        results += found
        if error:
            failed.add(check.name)
    return results


def exit_code(results: Iterable[Result]) -> int:
    """0 where all is well; 1 where something refuses; 2 where wrong words or a server kept it from being looked at."""
    results = list(results)
    if any(result.wrong_input or result.outcome == "could not run" for result in results):
        return 2
    return 1 if any(result.outcome == "refuse" for result in results) else 0


def worst(results: Iterable[Result]) -> Outcome:
    """The worst outcome of all."""
    outcomes = {result.outcome for result in results}
    return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), "ok")


def _run(check: Check) -> tuple[list[Result], bool]:
    """The results, and whether it could not be finished."""
    results: list[Result] = []
    try:
        results += [_as_result(check.name, found) for found in check.look()]
    except SwitchbackError as error:
        outcome: Outcome = "could not run" if isinstance(error, Retry) else "refuse"
        wrong = isinstance(error, BadInput)
        return [*results, Result(check.name, outcome, error.what, error.where, error.remedy, wrong_input=wrong)], True
    return results or [Result(check.name, "ok", "nothing found")], False


def _as_result(name: str, found: Result | Finding | str) -> Result:
    if isinstance(found, Result):
        return found
    if isinstance(found, Finding):
        return Result(name, found.level, found.what, found.where, found.remedy)
    return Result(name, "ok", found)
