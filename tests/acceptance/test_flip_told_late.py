"""The operator's program dies while it tells the application who is primary: ``resume`` tells what was not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_world import PATIENT, World
from operations.telling.env_file import read_env_file


@pytest.fixture
def told(world: World, tmp_path: Path) -> dict[str, str]:
    """The settings of an env file and a hook, which writes down what it hears."""
    hook = tmp_path / "hooks" / "opened"
    hook.parent.mkdir()
    hook.write_text(f'#!/bin/sh\necho "$SWITCHBACK_EPOCH $SWITCHBACK_PRIMARY" >> {tmp_path}/heard\n')
    hook.chmod(0o755)
    (tmp_path / "heard").touch()
    return {"env_file": str(tmp_path / "app.env"), "hooks": str(hook.parent)}


@pytest.mark.parametrize(
    ("step", "file_told", "hook_told"),
    [("opened-seen", False, False), ("file-told", True, False), ("hook-told", True, True)],
)
@pytest.mark.parametrize("verb", ["cutover", "rollback"])
def test_what_was_not_told_yet_is_told_by_resume(
    world: World, told: dict[str, str], tmp_path: Path, verb: str, step: str, *, file_told: bool, hook_told: bool
) -> None:
    if verb == "rollback":
        world.flip("cutover")
    epoch = world.state().epoch + 1
    now = ["1 postgres"] if verb == "cutover" else ["2 sqlite"]
    world.wait_in_step()
    said = world.command(verb, "--unverified", *PATIENT, kill_at=step, **told)
    assert said.code == -9, said.out + said.errors
    assert _epoch_told(tmp_path) == (str(epoch) if file_told else None)
    assert _heard(tmp_path) == (now if hook_told else [])
    said = world.command("resume", **told)
    assert said.code == 0, said.out + said.errors
    assert _epoch_told(tmp_path) == str(epoch)
    assert set(_heard(tmp_path)) == set(now)  # twice is not too often
    assert world.state().announced == epoch
    world.end()


def test_resume_itself_may_die_of_it_and_be_called_again(world: World, told: dict[str, str], tmp_path: Path) -> None:
    world.wait_in_step()
    assert world.command("cutover", "--unverified", *PATIENT, kill_at="opened-seen", **told).code == -9
    for step in ("file-told", "hook-told"):
        assert world.command("resume", kill_at=step, **told).code == -9
        assert world.state().announced == 0
    assert world.command("resume", **told).code == 0
    assert (_epoch_told(tmp_path), _heard(tmp_path)[-1]) == ("1", "1 postgres")
    assert world.state().announced == 1
    world.end()


def _epoch_told(folder: Path) -> str | None:
    path = folder / "app.env"
    return read_env_file(path).get("SWITCHBACK_EPOCH") if path.exists() else None


def _heard(folder: Path) -> list[str]:
    return (folder / "heard").read_text().splitlines()
