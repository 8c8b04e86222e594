"""Ctrl-C in a change of primary: it says where things stand, and the writers go on."""

from __future__ import annotations

import signal

from daemons import wait_until
from fix_world import World


def test_ctrl_c_in_the_hold_gives_it_up_and_says_how_far_it_came(world: World) -> None:
    process = world.freeze_in_hold("cutover", "--max-pause", "20")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, out + errors
    assert "Traceback" not in errors
    assert "interrupted and given up (reached: writers wait, the rest is in the log)" in errors
    assert "SQLite is the primary and takes writes, as before" in errors
    world.writes_go_on()
    assert world.migration.capture.says("writers go on", "the operator's program was ended")
    world.migration.sink.thaw()
    wait_until("nothing is under way", lambda: world.state().attempt is None)
    world.flip("cutover")
    world.end()


def test_ctrl_c_before_anything_is_asked_changes_nothing(world: World) -> None:
    world.wait_in_step()
    postponed = world.migration.source.with_name("postponed")
    postponed.touch()
    process = world.start_flip("cutover", "--postpone", str(postponed))
    wait_until("it is ready", lambda: "Ready" in process.said)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, out + errors
    assert "Traceback" not in errors
    assert "interrupted before writers were asked to wait: nothing was changed, SQLite is the primary" in errors
    assert world.state().last is None
    world.end()
