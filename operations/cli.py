"""The operator's program ``switchback``: its commands, and how each error becomes one line.

Exit codes: 0 all is well; 1 a check or a verification found something, or the answer was no; 2 wrong words,
settings or files, or a check that could not look; 3 the stream must not simply go on; 70 a bug; 130 Ctrl-C.
"""

from __future__ import annotations

import atexit
import gc
import os
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.live import Live

from operations.flags import with_settings
from operations.grants.command import app as grants
from operations.screen import Interrupted, complain, out, say, say_json
from shared import steps
from shared.errors import BUG_EXIT_CODE, BadInput, SwitchbackError
from shared.product import product_version
from shared.settings import Settings

_WATCH_SECONDS = 1.0

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]

app = typer.Typer(
    name="switchback",
    help="Live migration from SQLite to PostgreSQL through an event log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
log = typer.Typer(help="Look into the event log.", no_args_is_help=True)
app.add_typer(log, name="log")
app.add_typer(grants, name="grants")


def main() -> NoReturn:
    """Run the program; an error that is ours becomes one line on standard error."""
    atexit.register(gc.freeze)  # or the interpreter looks for cycles at its end, for a tenth of a second
    try:
        steps.arm(os.environ.get(steps.VARIABLE))
        app(prog_name="switchback")
    except SwitchbackError as error:
        complain(str(error))
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # somebody's `head` has seen enough
        raise SystemExit(1) from None
    except Exception:  # noqa: BLE001  (the top of the program)
        traceback.print_exc()
        complain("this is a bug in Switchback; please report it with the lines above")
        raise SystemExit(BUG_EXIT_CODE) from None
    raise SystemExit(0)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="the file to write")] = Path("switchback.toml"),
    source: Annotated[str | None, typer.Option(help="the SQLite database file")] = None,
    target: Annotated[str | None, typer.Option(help="the PostgreSQL database")] = None,
) -> None:
    """Write a settings file with every setting explained."""
    from operations.init import write_settings  # noqa: PLC0415  (each command loads what it needs)

    values = {name: value for name, value in (("source", source), ("target", target)) if value}
    write_settings(path, values)
    missing = " and ".join(name for name in ("source", "target") if name not in values)
    say(f"{path} is written. {f'Fill in {missing}, then run' if missing else 'Now run'}: switchback check")


@app.command()
@with_settings("source", every=True)
def check(settings: Settings, *, json: Json = False) -> None:
    """Look whether a migration can begin: the source, the target, the log.

    Exit code 0: all is well (warnings may remain). 1: something must be mended first. 2: a wrong file, address or
    setting, or something could not be looked at.
    """
    from operations.preflight import exit_code, run_checks  # noqa: PLC0415
    from operations.preflight_source import source_checks  # noqa: PLC0415
    from operations.preflight_target import log_checks, target_checks  # noqa: PLC0415
    from operations.preflight_view import show_results, verdict  # noqa: PLC0415

    results = run_checks([*source_checks(settings), *target_checks(settings), *log_checks(settings)])
    if json:
        say_json(results)
    else:
        out.print(show_results(results))
        say(f"\n{verdict(results)}")
    raise typer.Exit(exit_code(results))


@app.command()
@with_settings("source", "target", every=True)
def run(
    settings: Settings,
    *,
    until_synced: Annotated[
        bool, typer.Option("--until-synced", help="end when all is copied, with what was written meanwhile")
    ] = False,
) -> None:
    """Copy and keep in step: capture and sink under one supervisor, until Ctrl-C."""
    from operations.run import run as run_both  # noqa: PLC0415

    raise typer.Exit(run_both(settings, until_synced=until_synced))


@app.command()
@with_settings()
def status(
    settings: Settings,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="again each second, until Ctrl-C")] = False,
    json: Json = False,
) -> None:
    """Say how the migration stands; it may run or not."""
    from operations.status import Watch, as_json, look_once  # noqa: PLC0415
    from operations.status_view import show_status  # noqa: PLC0415

    if not watch:
        found = look_once(settings)
        say_json(as_json(found)) if json else out.print(show_status(found))
        return
    with closing(Watch(settings)) as looker:
        if json:
            _repeat(lambda: say_json(as_json(looker.look())))
        with Live(console=out, auto_refresh=False) as live:
            _repeat(lambda: live.update(show_status(looker.look()), refresh=True))


@app.command()
@with_settings("source", "target")
def verify(
    settings: Settings,
    tables: Annotated[list[str] | None, typer.Argument(help="tables to compare (* and ? match); all if none")] = None,
    *,
    changed: Annotated[bool, typer.Option("--changed", help="only rows changed since the last full pass")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="send the differing rows through the log again")] = False,
    json: Json = False,
) -> None:
    """Compare both sides row for row, at one position of the history, while changes go on."""
    from operations.verification.command import verify_command  # noqa: PLC0415

    raise typer.Exit(verify_command(settings, tables or [], changed, json, repair, out))


def _at_most(most: float) -> Callable[[typer.CallbackParam, float], float]:
    """Such numbers alone; neither infinity nor NaN is one."""

    def check(parameter: typer.CallbackParam, value: float) -> float:
        if not value <= most:
            raise BadInput(f"{parameter.opts[0]} must be a number up to {most:,.0f}")
        return value

    return check


_seconds, _hours = _at_most(1e6), _at_most(1e9)  # milliseconds go into 31 bits
_WITHIN = "hours: a full verification may not be older"
MaxPause = Annotated[
    float, typer.Option("--max-pause", min=0.1, callback=_seconds, help="seconds that writers may wait at the most")
]
Within = Annotated[float, typer.Option("--verified-within", min=0, callback=_hours, help=_WITHIN)]
Unverified = Annotated[bool, typer.Option("--unverified", help="go without a full verification")]
Postpone = Annotated[
    Path | None, typer.Option("--postpone", metavar="FILE", help="be ready, but wait while this file exists")
]
Wait = Annotated[float, typer.Option("--wait", min=0, callback=_seconds, help="seconds to wait for the daemons")]
Unfence = Annotated[bool, typer.Option("--unfence", help="let the closed SQLite file take writes again")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check and print the steps; do nothing")]


@app.command()
@with_settings("source", "target", every=True)
def cutover(  # noqa: PLR0913  (flags)
    settings: Settings,
    *,
    max_pause: MaxPause = 5.0,
    verified_within: Within = 24.0,
    unverified: Unverified = False,
    postpone: Postpone = None,
    dry_run: DryRun = False,
) -> None:
    """Make PostgreSQL the primary; SQLite follows as replica from then on."""
    _flip(settings, "postgres", max_pause, None if unverified else verified_within, postpone, dry_run=dry_run)


@app.command()
@with_settings("source", "target", every=True)
def rollback(  # noqa: PLR0913  (flags)
    settings: Settings,
    *,
    max_pause: MaxPause = 5.0,
    verified_within: Within = 24.0,
    unverified: Unverified = False,
    postpone: Postpone = None,
    dry_run: DryRun = False,
) -> None:
    """Make SQLite the primary again; PostgreSQL follows as replica from then on."""
    _flip(settings, "sqlite", max_pause, None if unverified else verified_within, postpone, dry_run=dry_run)


@app.command()
@with_settings("source", "target", every=True)
def rehearse(
    settings: Settings, *, max_pause: MaxPause = 5.0, verified_within: Within = 24.0, unverified: Unverified = False
) -> None:
    """Go through the next change of primary up to the fence, let go again, and say how long the pause would be."""
    from operations.cutover.flip import Options, rehearse  # noqa: PLC0415

    raise typer.Exit(rehearse(settings, Options(max_pause, None if unverified else verified_within, rehearsal=True)))


@app.command()
@with_settings("source")
def abort(
    settings: Settings,
    *,
    reason: Annotated[str, typer.Option("--reason", help="for the others who read it")] = "aborted by the operator",
    wait: Wait = 20.0,
) -> None:
    """Give the cutover or rollback that is under way up: the old primary takes writes again."""
    from operations.cutover.controls import abort  # noqa: PLC0415

    raise typer.Exit(abort(settings, reason, wait))


@app.command()
@with_settings("source")
def resume(settings: Settings, *, wait: Wait = 20.0) -> None:
    """See a cutover or rollback through that was left half-way, and tell the application who is primary."""
    from operations.cutover.controls import resume  # noqa: PLC0415

    raise typer.Exit(resume(settings, wait))


@app.command()
@with_settings("source", "target")
def complete(
    settings: Settings,
    *,
    keep_data: Annotated[bool, typer.Option(help="keep the SQLite file with its data")] = True,
    unfence: Unfence = False,
    yes: Yes = False,
) -> None:
    """End the migration: no way back any more; what was made for it is removed on both sides."""
    from operations.cutover.completing import complete, plan_completion  # noqa: PLC0415

    for what in plan_completion(settings, keep_data=keep_data, unfence=unfence):
        say(f"  {what}")
    if not yes:
        _agree("Complete the migration?")
    for what in complete(settings, keep_data=keep_data, unfence=unfence):
        say(f"removed {what}")


@log.command("show")
@with_settings()
def log_show(
    settings: Settings,
    *,
    start: Annotated[int, typer.Option("--from", metavar="N", help="the first group's number", min=0)] = 0,
    json: Json = False,
) -> None:
    """List the groups of the log; records that do not count are marked, with the reason."""
    from operations.show import show_log  # noqa: PLC0415

    show_log(settings, start, json=json)


@app.command()
@with_settings("source")
def uninstall(
    settings: Settings,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="also the stream's notes in PostgreSQL, its embedded log and its state files")
    ] = False,
    unfence: Unfence = False,
    yes: Yes = False,
) -> None:
    """Take Switchback's own triggers and tables out of the source again; your tables stay as they are."""
    from operations import uninstall as removal  # noqa: PLC0415

    removal.refuse_other_stream(settings)
    removal.refuse_while_running(settings)
    if not unfence:
        removal.refuse_while_closed(settings)
    planned = removal.plan_uninstall(settings, everything=everything)
    if not planned:
        say("Nothing of Switchback's is there.")
        return
    for what in planned:
        say(f"  {what}")
    if not yes:
        _agree("Remove these?")
    for what in removal.uninstall(settings, everything=everything, unfence=unfence):
        say(f"removed {what}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where to work; an earlier demo in it goes")] = Path(".demo"),
    rows: Annotated[int, typer.Option(min=1_000, help="rows of the application's database")] = 60_000,
    rate: Annotated[int, typer.Option(min=1, help="transactions a second")] = 150,
    seconds: Annotated[int, typer.Option(min=1, help="how long to follow")] = 12,
) -> None:
    """Show it all on databases of its own: copy a live application, prove it equal, move it there and back.

    Its PostgreSQL server is embedded. It takes about a minute; on a busy machine: --rate 30.
    """
    from operations.demo.show import Scale, show  # noqa: PLC0415

    raise typer.Exit(show(folder, Scale(rows, rate, seconds)))


@app.command()
def version() -> None:
    """Print the version."""
    say(product_version())


def _flip(  # noqa: PLR0913  (flags)
    settings: Settings,
    to: str,
    max_pause: float,
    verified_within: float | None,
    postpone: Path | None,
    *,
    dry_run: bool,
) -> None:
    from operations.cutover.flip import Options, flip  # noqa: PLC0415

    raise typer.Exit(flip(settings, to, Options(max_pause, verified_within, postpone, dry_run=dry_run)))


def _agree(question: str) -> None:
    """Go on where the operator says yes; no answer at all, as from a script, is a no."""
    try:
        agreed = typer.confirm(question)
    except typer.Abort as error:
        say("")  # Ctrl-C, or nobody is there to answer: the line is not ended
        if isinstance(error.__context__, KeyboardInterrupt):
            raise Interrupted("interrupted; nothing was changed") from None
        agreed = False
    if not agreed:
        complain("nothing was changed")
        raise typer.Exit(1)


def _repeat(show: object) -> NoReturn:
    assert callable(show)
    try:
        while True:
            show()
            time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


if __name__ == "__main__":
    main()
