"""What a verification shows: a bar a table while it runs, the findings, and a last line with the verdict."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from operations.screen import grid
from operations.verification.findings import Finding
from operations.verification.judging import Primary
from operations.verification.verify import Report
from operations.wording import count, duration
from shared.redaction import redact

_SHOWN = 50


class Silence:
    """Shows nothing while it runs."""

    def table(self, name: str, rows: int, total: int) -> None:
        """Nothing."""

    def looking_again(self, keys: int) -> None:
        """Nothing."""


class Bars:
    """A bar for each table, gone when all is done."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._bars = RichProgress(*columns, console=console, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bars.stop()

    def table(self, name: str, rows: int, total: int) -> None:
        """Move a table's bar; the bars of the tables before it are hidden."""
        if name not in self._tasks:
            for task in self._tasks.values():
                self._bars.update(task, visible=False)
            self._tasks[name] = self._bars.add_task(name, total=None, text="")
        text = f"{count(rows)} of about {count(total)} rows"
        self._bars.update(self._tasks[name], completed=rows, total=max(total, rows), text=text)

    def looking_again(self, keys: int) -> None:
        """Tell of the changed keys."""
        self.table("changed meanwhile", keys, keys)


def show_report(console: Console, report: Report, *, repair: bool) -> None:
    """The tables where something was, the findings, and the verdict."""
    wrong = [table for table in report.tables if table.wrong or table.repaired]
    if wrong:
        table = grid("table", "rows", "changed keys", "differ", "repaired")
        for found in wrong:
            table.add_row(Text(found.name), *map(count, (found.rows, found.keys, found.wrong, found.repaired)))
        console.print(table)
        console.print()
    if report.findings:
        _show_findings(console, report.findings, report.primary)
    console.print(
        Text(redact(verdict(report, repair=repair)), style="green" if report.equal else "red"), soft_wrap=True
    )


def verdict(report: Report, *, repair: bool = False) -> str:
    """The last line: what was compared, at which position, how fast, and what came of it."""
    rows, keys = (sum(getattr(table, name) for table in report.tables) for name in ("rows", "keys"))
    repaired = sum(table.repaired for table in report.tables)
    seconds = max(report.seconds, 0.001)
    what = _many(keys, "changed key") if report.scope == "changed" else _many(rows, "row")
    if report.scope != "changed" and keys:
        what += f" and {_many(keys, 'key')} changed meanwhile"
    since = f" since {report.since}" if report.since else ""
    where = f"{what} of {_many(len(report.tables), 'table')}{since} at {report.place}"
    speed = f"in {duration(seconds)}, {count((keys if report.scope == 'changed' else rows) / seconds)}/s"
    put_right = f"; sent again and equal now: {_many(repaired, 'row')}" if repaired else ""
    if report.equal:
        return f"EQUAL: {where} {speed}{put_right}"
    hint = "" if repair or report.primary == "postgres" else "; `switchback verify --repair` sends them again"
    return f"DIFFERENT: {_many(report.wrong_rows, 'row')}; compared {where} {speed}{put_right}{hint}"


def _many(number: int, thing: str) -> str:
    return f"{count(number)} {thing}" if number == 1 else f"{count(number)} {thing}s"


def _show_findings(console: Console, findings: list[Finding], primary: Primary) -> None:
    """The primary's values stand before the replica's."""
    names = ("SQLite", "PostgreSQL") if primary == "sqlite" else ("PostgreSQL", "SQLite")
    table = grid("what", "table", "key", "column", *names)
    for finding in findings[:_SHOWN]:
        sides = ("there", "missing") if finding.kind == "missing" else ("missing", "there")
        if finding.kind == "differs":
            sides = (_side(finding.source_class, finding.source), _side(finding.replica_class, finding.replica))
        elif finding.kind == "unsettled":
            sides = ("", "")
        cells = (finding.kind, finding.table, finding.key, finding.column or finding.reason, *sides)
        table.add_row(*(Text(redact(cell)) for cell in cells))
    console.print(table)
    if len(findings) > _SHOWN:
        console.print(Text(f"and {count(len(findings) - _SHOWN)} more findings; --json shows them"))
    console.print()


def _side(storage_class: str, shown: str) -> str:
    return shown if storage_class == "NULL" else f"{storage_class} {shown}"
