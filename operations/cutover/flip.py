"""``switchback cutover``, ``rollback`` and ``rehearse``: from the prechecks to telling the application.

The same for both directions; the direction follows from who is primary.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from operations.completion import open_existing_log
from operations.cutover.conductor import Conductor, Wish
from operations.cutover.interrupted import given_up, interruption, look_after
from operations.cutover.maintenance import end_maintenance
from operations.cutover.plan import show_plan
from operations.cutover.prechecks import cutover_checks
from operations.cutover.view import Progress, outcome_of
from operations.preflight import exit_code, run_checks
from operations.preflight_view import show_results
from operations.screen import Interrupted, out, say, tell
from operations.telling.announcing import announce, check_telling, facts_of, run_hook
from operations.verification.latest import Latest, open_latest
from operations.wording import side_name
from shared.control.channel import Channel
from shared.control.fold import State, side_of
from shared.errors import BadInput, Retry, SwitchbackError
from shared.log.contract import LogBackend
from shared.settings import Settings
from shared.steps import reached

_FEW_KEYS = 2_000
"""So many keys are looked at inside the hold in a few milliseconds."""
_ROUND_SECONDS = 0.5
_ROUNDS_AT_MOST = 600


class Options(Struct, frozen=True):
    """What the operator chose.

    ``verified_within`` is in hours, None where no full verification is asked for; while ``postpone`` exists
    the writers are not held.
    """

    max_pause: float = 5.0
    verified_within: float | None = 24.0
    postpone: Path | None = None
    rehearsal: bool = False
    dry_run: bool = False


def flip(settings: Settings, to: str, options: Options) -> int:
    """Make ``to`` ("sqlite" or "postgres") the primary.

    The exit code: 0 done, 1 refused or given up, 2 what must be known could not be looked at, 3 unfinished.
    """
    if options.postpone and not options.postpone.exists():
        remedy = f"Make it first: touch {options.postpone}"
        raise BadInput(f"the file to wait for is not there ({options.postpone})", remedy=remedy)
    with closing(open_existing_log(settings)) as log:
        channel = Channel(log.control)
        state = channel.open()
        _check_wanted(state, to)
        try:
            return _check_and_flip(settings, log, channel, options)
        except KeyboardInterrupt:
            raise _interrupted(settings, state, options) from None


def _check_and_flip(settings: Settings, log: LogBackend, channel: Channel, options: Options) -> int:
    state = channel.state
    results = run_checks(cutover_checks(settings, log, state, within_hours=options.verified_within))
    out.print(show_results(results))
    if options.dry_run:
        say(f"\n{show_plan(settings, state, max_pause=options.max_pause)}")
    if exit_code(results) or options.dry_run:
        say(_verdict(exit_code(results), options))
        return exit_code(results)
    return _flip(settings, channel, options)


def rehearse(settings: Settings, options: Options) -> int:
    """The same for whatever direction is next, without the fence."""
    with closing(open_existing_log(settings)) as log:
        replica = Channel(log.control).open().replica
    return flip(settings, replica, options)


def _check_wanted(state: State, to: str) -> None:
    if state.completed:
        raise BadInput("the migration is completed", remedy="There is no way back any more")
    if state.primary == to:
        since = f"epoch {state.epoch}"
        raise BadInput(f"{side_name(to)} is the primary already", where=since, remedy="See `switchback status`")


def _verdict(code: int, options: Options) -> str:
    if code:
        return "\nThe switch was not begun; nobody has waited."
    return "\nNothing stands in the way; nothing was done." if options.dry_run else ""


def _flip(settings: Settings, channel: Channel, options: Options) -> int:
    state = channel.state
    wish = Wish(state.epoch + 1, options.max_pause, rehearsal=options.rehearsal)
    check_telling(settings, wish.epoch)
    run_hook(settings, "before", facts_of(settings, wish.epoch, rehearsal=wish.rehearsal))
    with (
        _answered(settings, channel, wish),
        open_latest(settings, state.epoch, anyway=options.verified_within is None) as latest,
    ):
        channel.warm()
        _verify_what_changed(latest, channel, options)
        if state.replica == "postgres" and end_maintenance(settings):
            _verify_what_changed(latest, channel, options)
        conductor = Conductor(channel, latest, Progress().update)
        with _no_collection():
            ended = conductor.carry_out(wish)
    for line in outcome_of(ended, wish):
        tell(line)
    for finding in conductor.findings[:20]:
        tell(f"  {finding}")
    if ended.opened:
        reached("opened-seen")
        told = announce(settings, channel)
        reached("announced")
        return 0 if told else 1
    _tell_given_up(settings, ended.reason, wish)
    return 0 if wish.rehearsal and ended.reason == "rehearsed" else 1


@contextmanager
def _answered(settings: Settings, channel: Channel, wish: Wish) -> Iterator[None]:
    """Whoever was told ``before`` is told ``aborted`` too where the writers were never asked to wait."""
    before = channel.state
    try:
        yield
    except BaseException as error:
        with suppress(SwitchbackError):  # where nothing can be read nobody knows
            now = look_after(settings)
            if (now.epoch, now.last, now.attempt) == (before.epoch, before.last, None):
                reason = error.what if isinstance(error, SwitchbackError) else "the operator's program was ended"
                _tell_given_up(settings, reason, wish)
        raise


@contextmanager
def _no_collection() -> Iterator[None]:
    """Looking for cycles takes a program with this many objects 50 ms: not while writers wait."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _verify_what_changed(latest: Latest, channel: Channel, options: Options) -> None:
    """Rounds over the keys that change, until few are left and the operator does not want to wait any more."""
    waiting, rounds, epoch = False, 0, channel.state.epoch
    while rounds < _ROUNDS_AT_MOST:
        _check_alone(channel, epoch)
        done = latest.round(_ROUND_SECONDS)
        if options.postpone and options.postpone.exists():
            if not waiting:
                say(f"Ready; waiting until {options.postpone} is gone.")
            waiting = True
            time.sleep(_ROUND_SECONDS / 5)
        elif done.open_keys <= _FEW_KEYS and done.caught_up:
            return
        else:
            rounds += 1
    what = f"{done.open_keys} changed keys are not seen equal on both sides, and they do not become fewer"
    raise Retry(what, remedy="Run `switchback verify` to see what differs")


def _check_alone(channel: Channel, epoch: int) -> None:
    """Nobody else has made a switch, or begun one, while this one was made ready."""
    state = channel.look()
    if state.attempt or state.epoch != epoch:
        done = "is making a switch" if state.attempt else f"has made {side_name(state.primary)} the primary"
        raise BadInput(f"another operator {done} (epoch {state.epoch}); nothing was done here")


def _interrupted(settings: Settings, before: State, options: Options) -> Interrupted:
    after = look_after(settings)
    if ended := given_up(before, after):
        wish = Wish(before.epoch + 1, options.max_pause, rehearsal=options.rehearsal)
        _tell_given_up(settings, ended.reason, wish)
    return interruption(before, after)


def _tell_given_up(settings: Settings, reason: str, wish: Wish) -> None:
    facts = facts_of(settings, wish.epoch, rehearsal=wish.rehearsal, reason=reason)
    run_hook(settings, "aborted", facts)


def primary_after(epoch: int) -> str:
    """Whose epoch that is, for people."""
    return side_name(side_of(epoch))
