"""A wrong, new or older log has no say in who may write: what a database has closed stays closed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons import Daemon, Migration
from fix_migration import STOPPED
from fix_world import MakeWorld, World
from switching import PostgresSide, SqliteSide, takes


@pytest.fixture
def world(make_world: MakeWorld, postgres_dsn: str) -> World:
    return make_world(postgres_dsn)


@pytest.fixture
def sides(world: World) -> Iterator[tuple[SqliteSide, PostgresSide]]:
    sqlite, postgres = SqliteSide(world.migration.source), PostgresSide(world.migration.dsn)
    yield sqlite, postgres
    sqlite.close()
    postgres.close()


def test_a_lost_log_opens_nothing(world: World, sides: tuple[SqliteSide, PostgresSide]) -> None:
    _flip_and_rest(world, "cutover")
    world.migration.stop()
    _remove_log(world.migration)
    world.migration.capture.start()
    world.migration.capture.assert_ended(STOPPED, "--log", "stays closed")
    _assert_only("postgres", *sides)


def test_a_capture_with_another_log_opens_nothing_and_disturbs_nobody(
    world: World, sides: tuple[SqliteSide, PostgresSide], tmp_path: Path
) -> None:
    _flip_and_rest(world, "cutover")
    other = {"log": f"embedded:{tmp_path}/other.log", "state_dir": str(tmp_path)}
    second = Daemon("capture", {**world.migration.settings, **other}, tmp_path)
    second.start()
    second.assert_ended(STOPPED, "--log", "stays closed")
    _assert_only("postgres", *sides)
    assert world.migration.capture.running
    assert world.migration.sink.running


def test_an_older_copy_of_the_log_opens_nothing(
    world: World, sides: tuple[SqliteSide, PostgresSide], tmp_path: Path
) -> None:
    world.flip("cutover")
    world.migration.stop()
    shutil.copy(_log_of(world.migration), tmp_path / "copy")
    world.migration.start()
    _flip_and_rest(world, "rollback")
    world.migration.stop()
    _remove_log(world.migration)
    shutil.copy(tmp_path / "copy", _log_of(world.migration))
    world.migration.capture.start()
    world.migration.capture.assert_ended(STOPPED, "--log", "stays closed")
    _assert_only("sqlite", *sides)


@pytest.mark.parametrize("step", ["Fenced", "Verified"])
def test_a_log_from_the_middle_of_the_switch_opens_nothing_by_an_abort(
    world: World, sides: tuple[SqliteSide, PostgresSide], step: str
) -> None:
    """It knows of the attempt, and not of its end; but not of what was applied since either."""
    _flip_and_rest(world, "cutover")
    world.migration.stop()
    with closing(sqlite3.connect(_log_of(world.migration))) as log:
        _forget_since(log, step)
    world.migration.capture.start()
    world.migration.capture.assert_ended(STOPPED, "the spine ends")
    world.command("abort")
    world.migration.capture.start()
    world.migration.capture.assert_ended(STOPPED, "the spine ends")
    _assert_only("postgres", *sides)


def _flip_and_rest(world: World, verb: str) -> None:
    """After some writes on the new primary nobody writes any more."""
    world.flip(verb)
    world.writes_go_on()
    world.application.end()
    world.prober.end()
    world.wait_in_step()


def _log_of(migration: Migration) -> Path:
    return Path(migration.settings["log"].removeprefix("embedded:"))


def _remove_log(migration: Migration) -> None:
    for file in _log_of(migration).parent.glob(f"{_log_of(migration).name}*"):
        file.unlink()


def _forget_since(log: sqlite3.Connection, step: str) -> None:
    """Make the log one that was copied right after that step, before anything was written on the new primary."""
    records = [(number, json.loads(value)) for number, value in log.execute("SELECT id, value FROM control ORDER BY 1")]
    places = {record["type"]: number for number, record in records}
    barrier = next(record["offset"] for _, record in records if record["type"] == "Held")
    with log:
        for table, last in (("control", places[step]), ("spine", barrier + 1)):
            log.execute(f"DELETE FROM {table} WHERE id > {last}")
            log.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, table))


def _assert_only(primary: str, sqlite: SqliteSide, postgres: PostgresSide) -> None:
    taken = [side.name for side in (sqlite, postgres) if takes(side)]
    assert taken == [primary]
