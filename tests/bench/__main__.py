"""``make bench``: measure, print as it goes, and write a table in Markdown.

    python -m tests.bench [--runs N] [--only NAME,...] [--quick | --full] [--into FILE]

Everything that is compared is measured in one run, in turns.  ``--into`` replaces what stands between
the marks of that file (docs/benchmarks.md has them); the table always goes to .bench/results.md too.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench import (
    applying,
    commits,
    flipping,
    flowing,
    latency,
    machine,
    metering,
    snapshot,
    topics,
    transaction,
    verifying,
)
from tests.bench.data import FOLDER
from tests.bench.plan import Plan
from tests.bench.results import Line, table
from tests.bench.servers import POSTGRES_SETTINGS, servers

_BEGIN, _END = "<!-- measured -->", "<!-- end -->"

_SCENARIOS: dict[str, tuple[str, Callable[[Plan], list[Line]]]] = {
    "commits": ("What capture costs the application", commits.measure),
    "latency": ("Latency through Kafka", latency.measure),
    "flowing": ("Changes from end to end through Kafka, four tables", flowing.measure),
    "applying": ("The sink alone, 60 % inserts, 30 % updates, 10 % deletes", applying.measure),
    "topics": ("The table topics alone, the same mix", topics.measure),
    "snapshot": ("Snapshot until indexes are there", snapshot.measure),
    "verifying": ("Verification", verifying.measure),
    "flipping": ("Write pause of the flip, through Kafka", flipping.measure),
    "metering": ("What metrics cost, through Kafka", metering.measure),
    "transaction": ("A very large transaction", transaction.measure),
    "growth": ("Growth", snapshot.growth),
}
_FULL_ONLY = {"growth"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chosen scenarios."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and the servers are stopped
    names = given.only or [name for name in _SCENARIOS if given.full or name not in _FULL_ONLY]
    warning = machine.warn_if_busy()
    with servers() as running:
        plan = Plan(running, given.runs, given.quick, given.full)
        text = _head(plan, warning)
        plan.say(text)
        for name in names:
            title, measure = _SCENARIOS[name]
            plan.say(f"--- {name}")
            text += f"\n### {title}\n\n{table(measure(plan))}\n"
            _keep(text, given.into)
    sys.stdout.write(text)


def _head(plan: Plan, warning: str) -> str:
    tools = machine.versions_of("pgloader", "java")
    settings = ", ".join(f"{name} = {value}" for name, value in POSTGRES_SETTINGS.items())
    facts = [
        *machine.describe(),
        f"{plan.servers.postgres_version} ({settings}, fsync on, all else default), on the same machine",
        f"kafka-python {version('kafka-python')}, broker on the same machine; {tools}",
        f"{plan.rows:,} rows of 12 columns; medians of {plan.runs} runs, taken in turns",
    ]
    return "\n".join(f"- {fact}" for fact in [*facts, *([warning] if warning else [])]) + "\n"


def _keep(text: str, into: Path | None) -> None:
    """Write what there is so far: a run that is stopped has not been in vain."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "results.md").write_text(text)
    if into:
        head, _, rest = into.read_text().partition(_BEGIN)
        into.write_text(f"{head}{_BEGIN}\n{text}{_END}{rest.partition(_END)[2]}")


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(_SCENARIOS):
        message = f"no scenario {', '.join(unknown)}; there are {', '.join(_SCENARIOS)}"
        raise argparse.ArgumentTypeError(message)
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, side by side in one run.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each thing [5]")
    parser.add_argument("--only", type=_names, metavar="NAME,...", help=f"some of {', '.join(_SCENARIOS)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small data: shows that the harness works, not more")
    size.add_argument("--full", action="store_true", help="also what takes long: ten times the rows, a ladder of rates")
    parser.add_argument("--into", type=Path, metavar="FILE", help="a page with marks to put the tables between")
    return parser


if __name__ == "__main__":
    main()
