"""A daemon that stands still at a named step of a switch."""

from __future__ import annotations

from functools import partial

from daemons import Daemon, wait_until
from fix_world import PATIENT, World
from forking import Forked


def freeze_at(world: World, verb: str, daemon: Daemon, step: str, *words: str, **settings: str) -> Forked:
    """Begin a switch in which that daemon stands still at that step; the operator's program.

    One that was given up before, as may be on a busy machine, is followed by another one, with a daemon that was
    started anew: else it might come to its step only then, and stand still in an attempt that is over.
    """
    while True:
        daemon.kill()
        daemon.start(freeze_at=step, **settings)
        world.wait_in_step()
        process = world.start_flip(verb, *PATIENT, *words)
        wait_until("it stands still", partial(_is_decided, daemon, process))
        if daemon.stands_still:
            return process


def _is_decided(daemon: Daemon, process: Forked) -> bool:
    return daemon.stands_still or process.poll() is not None
