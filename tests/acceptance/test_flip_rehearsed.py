"""What is looked at and tried before a switch, on a live migration: ``--dry-run`` word for word, and ``rehearse``."""

from __future__ import annotations

import re
from pathlib import Path

from fix_world import PATIENT, World

GOLDEN = Path(__file__).parent / "golden"
REHEARSED = re.compile(
    r"Rehearsed: all steps up to the fence went well; the real write pause would be about (?:\d+ ms|[\d.]+ s) "
    r"\(measured (\d+) ms, and about (\d+) ms for the last step\)\."
)


def test_a_dry_run_says_all_that_was_looked_at_and_each_step_and_does_nothing(world: World, verb: str) -> None:
    before = world.state()
    world.wait_in_step()
    said = world.command(verb, "--unverified", "--dry-run", "--max-pause", "2.5")
    assert said.code == 0, said.out + said.errors
    assert _masked(said.out, world) == (GOLDEN / f"dry_run_{verb}.txt").read_text()
    assert world.state() == before
    world.end()


def test_a_rehearsal_under_writers_says_the_pause_and_leaves_all_as_it_was(world: World, verb: str) -> None:
    before = world.state()
    for _ in range(2):
        world.wait_in_step()
        said = world.command("rehearse", "--unverified", *PATIENT)
        assert said.code == 0, said.out + said.errors
        found = REHEARSED.search(said.out)
        assert found, said.out
        assert int(found[1]) > 0
        world.writes_go_on()
    after = world.state()
    assert (after.epoch, after.primary, after.attempt) == (before.epoch, before.primary, None)
    assert world.migration.capture.says("writers go on", "rehearsed")
    assert not world.application.trouble
    world.flip(verb)
    world.end()


def _masked(said: str, world: World) -> str:
    """Without what is another time another one: numbers, and where things are."""
    said = said.replace(str(world.migration.source.parent), "FOLDER")
    for pattern, what in _OTHER_EACH_TIME:
        said = re.sub(pattern, what, said)
    return "".join(f"{line.rstrip()}\n" for line in said.splitlines())


_OTHER_EACH_TIME = (
    (r"PostgreSQL \([^)]*\)", "PostgreSQL (SERVER)"),
    (r"pid \d+", "pid N"),
    (r"[\d,]+ changes behind; [\d,]+ changes/s", "N changes behind; N changes/s"),
    (r"(about|after) [\d.]+ (ms|s)\b", r"\1 TIME"),
    (r"[\d.]+ [MGT]B free", "SIZE free"),
)
