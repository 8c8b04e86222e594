"""Capture stands still to the very end of an attempt: the operator is told, and thawed it brings it to an end."""

from __future__ import annotations

import pytest

from daemons import wait_until
from fix_migration import STOPPED
from fix_world import World
from forking import Forked
from freezing import freeze_at

pytestmark = pytest.mark.slow


def test_before_the_hold_writers_go_on_meanwhile_and_thawed_it_gives_the_attempt_up(world: World, verb: str) -> None:
    old = world.state().primary
    process = freeze_at(world, verb, world.migration.capture, "asked", "--max-pause", "1")
    _assert_told(process)
    world.writes_go_on()
    world.migration.capture.thaw()
    wait_until("the attempt is over", lambda: world.state().attempt is None)
    assert world.state().primary == old
    world.flip(verb)
    world.end()


def test_behind_the_fence_thawed_it_goes_through_with_it(world: World, verb: str) -> None:
    """Both sides are closed meanwhile, and the last word on that is capture's."""
    new = world.state().replica
    process = freeze_at(world, verb, world.migration.capture, "fence-committed", "--max-pause", "4")
    _assert_told(process)
    world.migration.capture.thaw()
    said = world.command("resume", "--wait", "60")
    assert said.code == 0, said.out + said.errors
    assert world.state().primary == new
    world.end()


def _assert_told(process: Forked) -> None:
    said, errors = process.communicate(timeout=90)
    assert process.returncode == STOPPED, said + errors
    assert "the attempt has not ended: capture does not answer" in errors
    assert "Start capture: it lets the writers go, or goes on if it had closed its side already" in errors
