"""Both sides closed: the sink died between the old primary's end and the new one's beginning.  Two ways lead out."""

from __future__ import annotations

import pytest

from fix_migration import STOPPED
from fix_world import World

pytestmark = pytest.mark.slow


@pytest.fixture(params=["cutover", "rollback"])
def closed(request: pytest.FixtureRequest, world: World) -> World:
    """A cutover, or the way back, that its operator has left half-way."""
    if request.param == "rollback":
        world.flip("cutover")
    world.migration.sink.stop()
    world.migration.sink.start(kill_at="before-opening")
    code, said = 1, ""
    while code == 1:  # given up before the fence, as may be on a busy machine
        world.wait_in_step()
        code, said, errors = world.command(request.param, "--unverified", "--max-pause", "4")
        said += errors
    assert code == STOPPED, said
    assert "neither side takes writes" in said
    assert world.migration.sink.wait() == -9
    assert world.takers() == []
    _assert_status_tells(world)
    return world


def _assert_status_tells(world: World) -> None:
    """That neither side takes writes, and the two ways out."""
    switch = world.command("status", "--json").json["switch"]
    assert switch["closed"]
    assert switch["waiting"].startswith("neither side takes writes; the sink has to open ")
    assert "`switchback resume`" in switch["remedy"]
    assert "`switchback abort`" in switch["remedy"]


def test_with_a_sink_again_resume_sees_it_through(closed: World) -> None:
    new = closed.state().replica
    closed.migration.sink.start()
    said = closed.command("resume", "--wait", "60")
    assert said.code == 0, said.out + said.errors
    assert closed.takers() == [new]
    closed.end()
    assert closed.state().primary == new


def test_without_a_sink_abort_opens_the_old_primary_again(closed: World) -> None:
    old = closed.state().primary
    said = closed.command("abort", "--wait", "60")
    assert said.code == 0, said.out + said.errors
    assert closed.takers() == [old]
    closed.writes_go_on()
    closed.migration.sink.start()
    closed.end()
    assert closed.state().primary == old
