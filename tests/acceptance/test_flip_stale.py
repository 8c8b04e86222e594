"""A daemon that stood still at a step of a switch, while another one saw the switch through, and then wakes up.

Capture stands still where it holds no lock: before it takes one, and behind the fence's commit.  The sink that opens
PostgreSQL may do so anywhere: what it has prepared is in a session of the server's, which ends those of a client that
is away.  The sink that opens SQLite has the file's write lock from ``prepared`` to its commit, and nobody can take a
lock from a process that stands still: so on the way back only ``opened`` is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from daemons import Daemon, wait_until
from fix_migration import STOPPED
from fix_world import PATIENT, World
from freezing import freeze_at

pytestmark = pytest.mark.slow

VERBS = ["cutover", "rollback"]

Another = Callable[[str], Daemon]


@pytest.fixture
def another(world: World) -> Iterator[Another]:
    """A second daemon of that name with a state folder of its own, as on another machine; not started."""
    made: list[Daemon] = []

    def make(name: str) -> Daemon:
        folder = world.migration.source.with_name("second")
        folder.mkdir()
        made.append(Daemon(name, {**world.migration.settings, "state_dir": str(folder)}, folder))
        return made[-1]

    yield make
    for daemon in made:
        daemon.kill()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("step", ["asked", "fence-committed"])
def test_a_capture_that_wakes_up_behind_the_switch_takes_over_in_the_new_epoch(
    world: World, another: Another, verb: str, step: str
) -> None:
    """It finds its side closed and begins anew, as one that is just started: the other one is the deposed one then."""
    stale, fresh = world.migration.capture, another("capture")
    _switch_past(world, verb, stale, step, fresh)
    stale.thaw()
    fresh.assert_ended(STOPPED, "another capture has taken over")
    _goes_on_alone(world, stale)


@pytest.mark.parametrize("verb", VERBS)
def test_a_capture_that_wakes_up_when_its_side_is_the_primary_again_is_deposed(
    world: World, another: Another, verb: str
) -> None:
    """Neither role nor fence tells it that its epoch is over: the lease does."""
    stale, fresh = world.migration.capture, another("capture")
    _switch_past(world, verb, stale, "asked", fresh)
    _come_through(world, _other(verb))
    world.writes_go_on()
    stale.thaw()
    stale.assert_ended(STOPPED, "another capture has taken over")
    _goes_on_alone(world, fresh)


@pytest.mark.parametrize("step", ["prepared", "before-opening", "opening-said", "opened"])
def test_a_sink_that_wakes_up_behind_the_cutover_takes_over_in_the_new_epoch(
    world: World, another: Another, step: str
) -> None:
    """What it had prepared is gone with its session; it begins anew on SQLite, and the other one is deposed."""
    stale, fresh = world.migration.sink, another("sink")
    _switch_past(world, "cutover", stale, step, fresh)
    stale.thaw()
    fresh.assert_ended(STOPPED, "another sink has taken over")
    _goes_on_alone(world, stale)


def test_a_sink_that_wakes_up_behind_the_way_back_waits_for_the_one_that_works(world: World, another: Another) -> None:
    """On PostgreSQL one sink keeps the other one out for as long as its session lives."""
    stale, fresh = world.migration.sink, another("sink")
    _switch_past(world, "rollback", stale, "opened", fresh)
    stale.thaw()
    wait_until("it waits", lambda: stale.says("another sink is applying this stream"))
    assert stale.running
    _goes_on_alone(world, fresh)


def _switch_past(world: World, verb: str, stale: Daemon, step: str, fresh: Daemon) -> None:
    """Have one daemon stand still at that step, and the other one see the switch through, or a new one."""
    if verb == "rollback":
        world.flip("cutover")
    epoch = world.state().epoch
    process = freeze_at(world, verb, stale, step)
    if stale is world.migration.sink and verb == "cutover":
        _end_sessions(world.migration.dsn)
    fresh.start()
    process.communicate(timeout=90)
    _come_through(world, verb)
    assert world.state().epoch == epoch + 1
    assert stale.stands_still
    world.writes_go_on()


def _end_sessions(dsn: str) -> None:
    """As PostgreSQL does with those of a client that is away."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'switchback-sink%'"
        )


def _come_through(world: World, verb: str) -> None:
    """See what is under way through; where it was given up, switch once more."""

    def comes() -> bool:
        world.command("resume", "--wait", "60")
        said = world.command(verb, "--unverified", *PATIENT)
        return said.code == 0 or "primary already" in said.errors

    wait_until("the switch came through", comes)


def _other(verb: str) -> str:
    return VERBS[1 - VERBS.index(verb)]


def _goes_on_alone(world: World, daemon: Daemon) -> None:
    world.writes_go_on(60)
    world.end()
    assert daemon.running
    assert "Traceback" not in daemon.output
