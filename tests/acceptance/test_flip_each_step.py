"""kill -9 at each named step of a switch, one after the other, there and back, under writers.

The kill loop meets the steps by chance, many at a time and again and again; here each is met alone, the operator's
program is gone with it, ``resume`` or ``abort`` is all that follows, and who is the primary then is known.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import pytest

from daemons import Daemon, wait_until
from fix_world import World
from forking import Forked
from shared.steps import CLOSING_STEPS, CUTOVER_STEPS, OPENING_STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OLD, NEW, EITHER = "the old primary", "the new primary", "either"

CAPTURE = dict.fromkeys(("asked", "held", "rest-published", "held-said", "before-fence"), (OLD, OLD))
CAPTURE["fence-committed"] = (NEW, OLD)
SINK = {
    "drained": (EITHER, OLD),  # a sink that is back in time goes on with what was asked
    "prepared": (EITHER, OLD),
    "before-opening": (NEW, OLD),
    "opening-said": (NEW, NEW),
    "opened": (NEW, NEW),
}
OPERATOR = {
    "before-asking": (OLD, OLD),
    "asking-said": (OLD, OLD),
    "held-seen": (OLD, OLD),
    "verified-said": (NEW, EITHER),  # the daemons go on without it
    **dict.fromkeys(("opened-seen", "file-told", "hook-told", "announced"), (NEW, NEW)),
}
"""Who is the primary in the end, by the step at which the program died: with ``resume``, and with ``abort``."""

UNDOING = ("before-unfence", "unfenced", "gave-up")
"""Capture comes to these only where an attempt is given up."""

Die = Callable[[World, str, str], None]


def test_each_step_has_its_place_here() -> None:
    assert (*CAPTURE, *UNDOING) == CLOSING_STEPS
    assert tuple(SINK) == OPENING_STEPS
    assert tuple(OPERATOR) == CUTOVER_STEPS


@pytest.fixture(params=["cutover", "rollback"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_capture_dies_at_each_step(world: World, verb: str, way: str) -> None:
    _at_each_step(world, verb, way, CAPTURE, _daemon_dies(world.migration.capture))


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_the_sink_dies_at_each_step(world: World, verb: str, way: str) -> None:
    _at_each_step(world, verb, way, SINK, _daemon_dies(world.migration.sink))


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_the_operators_program_dies_at_each_step(world: World, verb: str, way: str) -> None:
    _at_each_step(world, verb, way, OPERATOR, _operator_dies)


def test_capture_dies_as_it_takes_the_fence_down(world: World, verb: str) -> None:
    """The sink is gone, both sides are closed, and ``abort`` has the old primary opened again."""
    old = _make_ready(world, verb)
    for step in ("before-unfence", "unfenced"):
        _arm(world.migration.sink, "before-opening")
        _arm(world.migration.capture, step)
        _begin_until_dead(world, verb, world.migration.sink)
        aborting = world.command.begin("abort", "--wait", "60")
        assert world.migration.capture.wait() == -9
        world.migration.capture.start()
        said, errors = aborting.communicate(timeout=90)
        assert aborting.returncode == 0, said + errors
        assert world.takers() == [old]
        world.migration.sink.start()
        world.writes_go_on()
    world.end()


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_capture_dies_as_it_lets_the_writers_of_a_rehearsal_go(world: World, verb: str, way: str) -> None:
    old = _make_ready(world, verb)
    _arm(world.migration.capture, "gave-up")
    _begin_until_dead(world, "rehearse", world.migration.capture)
    world.writes_go_on()
    _lead_out(world, way, world.migration.capture.start)
    assert world.takers() == [old]
    world.end()


def test_the_operators_program_dies_at_each_step_of_a_rehearsal(world: World, verb: str) -> None:
    """Nothing has to be done about it: the writers' time is over, and all is as before."""
    old = _make_ready(world, verb)
    for step in ("before-asking", "asking-said", "held-seen", "verified-said"):
        _operator_dies(world, "rehearse", step)
        wait_until("nothing is under way", lambda: world.state().attempt is None)
        assert world.takers() == [old]
        world.writes_go_on()
    world.end()


def test_abort_dies_once_it_has_said_so(world: World, verb: str) -> None:
    old = _make_ready(world, verb)
    _arm(world.migration.sink, "before-opening")
    _begin_until_dead(world, verb, world.migration.sink)
    world.migration.capture.freeze()
    assert world.command("abort", "--wait", "60", kill_at="abort-said").code == -9
    world.migration.capture.thaw()
    wait_until("nothing is under way", lambda: world.state().attempt is None)
    assert world.takers() == [old]
    world.migration.sink.start()
    world.end()


def _at_each_step(world: World, verb: str, way: str, steps: dict[str, tuple[str, str]], die: Die) -> None:
    for step, ends in steps.items():
        old, new = _make_ready(world, verb), world.state().replica
        die(world, verb, step)
        _lead_out(world, way, lambda: _start_what_died(world))
        expected = {OLD: [[old]], NEW: [[new]], EITHER: [[old], [new]]}[ends[way == "abort"]]
        assert world.takers() in expected, step
        world.writes_go_on()
        world.wait_in_step()
    world.end()


def _make_ready(world: World, verb: str) -> str:
    """Have the primary that this verb takes it from; which one that is."""
    old, other = ("sqlite", "rollback") if verb == "cutover" else ("postgres", "cutover")
    if world.state().primary != old:
        world.flip(other)
    return old


def _daemon_dies(daemon: Daemon) -> Die:
    def die(world: World, verb: str, step: str) -> None:
        _arm(daemon, step)
        _begin_until_dead(world, verb, daemon)

    return die


def _arm(daemon: Daemon, step: str) -> None:
    daemon.stop()
    daemon.start(kill_at=step)


def _begin_until_dead(world: World, verb: str, daemon: Daemon) -> None:
    """Switch until the daemon dies of it, and kill the operator's program then.

    One that was refused or given up before, as may be on a busy machine, is followed by another one.
    """
    while daemon.running:
        world.wait_in_step()
        process = world.start_flip(verb, "--max-pause", "3")
        wait_until("the daemon dies, or nothing came of it", partial(_is_over, process, daemon))
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert daemon.wait() == -9, daemon.output[-2000:]


def _is_over(process: Forked, daemon: Daemon) -> bool:
    return not daemon.running or process.poll() is not None


def _operator_dies(world: World, verb: str, step: str) -> None:
    """One that was refused before it came to the step, as may be on a busy machine, is followed by another one."""
    code = 1
    while code == 1:
        world.wait_in_step()
        said = world.command(verb, "--unverified", "--max-pause", "3", kill_at=step)
        code = said.code
    assert code == -9, said.out + said.errors


def _start_what_died(world: World) -> None:
    for daemon in (world.migration.capture, world.migration.sink):
        if not daemon.running:
            daemon.start()


def _lead_out(world: World, way: str, mend: Callable[[], None]) -> None:
    """What the operator does next, and then starts what is gone: to a good end, whatever the first one says."""
    process = world.command.begin(way, "--wait", "60")
    wait_until("it is given up, or cannot be", lambda: way == "resume" or _given_up(world, process))
    mend()
    said, errors = process.communicate(timeout=90)
    assert process.returncode in ({0, 2} if way == "abort" else {0}), said + errors
    if process.returncode == 2:
        assert "no attempt is under way" in errors or "Run `switchback resume`" in errors
        assert world.command("resume", "--wait", "60").code == 0
    assert world.state().attempt is None


def _given_up(world: World, process: Forked) -> bool:
    attempt = world.state().attempt
    return process.poll() is not None or attempt is None or attempt.aborted is not None
