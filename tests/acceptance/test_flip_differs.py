"""What differs between the two sides is found while the writers are held, and no switch leaves it behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial

import psycopg

from daemons import wait_until
from fix_world import PATIENT, World
from forking import Forked

_MARKED = 2_999  # no writer of the application's ever wants it
_SPOIL = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.b := 'spoiled';
    RETURN NEW;
END $$;
CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON bulk FOR EACH ROW WHEN (NEW.id = 2999) EXECUTE FUNCTION spoil();
ALTER TABLE bulk ENABLE ALWAYS TRIGGER spoil
"""


def test_one_row_that_came_over_differently_at_the_last_moment_ends_the_cutover_by_its_key(world: World) -> None:
    with psycopg.connect(world.migration.dsn, autocommit=True) as db:
        db.execute(_SPOIL)
        said = _cutover_that_meets_it(world)
        [line] = [line for line in said.splitlines() if line.startswith("Given up: ")]
        assert "1 difference between the two sides, the first: table bulk, key 2999: column b differs. " in line
        assert "spoiled" not in said
        assert world.state().primary == "sqlite"
        world.writes_go_on()
        db.execute("DROP FUNCTION spoil CASCADE")
    _write(world, "mended")
    world.flip("cutover")
    world.end()


def _cutover_that_meets_it(world: World) -> str:
    """All is equal until it is ready; one that was refused or late, as may be on a busy machine, is tried again."""
    said, postponed = "", world.migration.source.with_name("postponed")
    while "difference" not in said:
        world.wait_in_step()
        postponed.touch()
        process = world.start_flip("cutover", *PATIENT, "--postpone", str(postponed))
        wait_until("it is ready", partial(_is_ready, process))
        _write(world, "written at the last moment")
        postponed.unlink()
        said, errors = process.communicate(timeout=60)
        assert process.returncode == 1, said + errors
    return said


def _is_ready(process: Forked) -> bool:
    return "Ready" in process.said or process.poll() is not None


def _write(world: World, text: str) -> None:
    with closing(sqlite3.connect(world.migration.source, timeout=30)) as db, db:
        db.execute("UPDATE bulk SET b = ? WHERE id = ?", (text, _MARKED))
