"""A switch that is made ready and waits for a file to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemons import wait_until
from fix_migration import BAD_INPUT
from fix_world import PATIENT, MakeWorld, World


@pytest.fixture
def world(make_world: MakeWorld, postgres_dsn: str) -> World:
    return make_world(postgres_dsn)


def test_a_file_that_is_not_there_is_no_reason_to_switch_at_once(world: World, tmp_path: Path) -> None:
    said = world.command("cutover", "--unverified", "--postpone", str(tmp_path / "mistyped"))
    assert said.code == BAD_INPUT
    assert "touch" in said.errors
    assert world.state().epoch == 0


def test_one_that_waits_does_not_go_on_behind_another_operators(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    waiting = world.start_flip("cutover", "--postpone", str(tmp_path / "file"), *PATIENT)
    wait_until("it waits", lambda: "Ready; waiting" in waiting.said)
    world.flip("cutover")
    assert waiting.wait(60) != 0
    assert world.state().epoch == 1
    world.end()
