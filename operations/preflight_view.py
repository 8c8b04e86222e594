"""The results of ``switchback check`` as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from operations.preflight import Result, exit_code
from operations.screen import STYLES, grid


def show_results(results: Sequence[Result]) -> Table:
    """One line a result; below what was found, in dim letters, what to do."""
    table = grid("check", "result", "what")
    table.columns[0].no_wrap = True
    table.columns[1].no_wrap = True
    previous = ""
    for result in results:
        name = "" if result.check == previous else result.check
        previous = result.check
        place = f" ({result.where})" if result.where else ""
        text = Text(f"{result.what}{place}")
        if result.remedy and result.outcome != "ok":
            text.append(f"\n{result.remedy}", style="dim")
        table.add_row(name, Text(result.outcome, style=STYLES[result.outcome]), text)
    return table


def verdict(results: Sequence[Result]) -> str:
    """The last line."""
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in STYLES}
    if not exit_code(results):
        warned = f"; {counts['warn']} to decide about" if counts["warn"] else ""
        if any(result.check == "target" and result.outcome != "ok" for result in results):
            return f"Nothing stands in the way so far{warned}; the target was not looked at."
        return f"A migration can begin{warned}."
    parts = [f"{counts[outcome]} {text}" for outcome, text in _BLOCKING if counts[outcome]]
    return f"A migration cannot begin yet: {', '.join(parts)}."


_BLOCKING = (("refuse", "refused"), ("could not run", "could not be looked at"))
