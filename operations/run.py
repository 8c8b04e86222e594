"""``switchback run``: both daemons under one supervisor, and what there is to see of them.

Exit codes: 0 stopped as asked, or in step with ``--until-synced``; else that of the daemon which will
not be started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from operations.daemon import DAEMONS, Daemon
from operations.run_display import Display, LiveDisplay, PlainDisplay
from operations.screen import complain, out
from shared.errors import BadInput
from shared.presence import is_running, note_path
from shared.settings import Settings
from shared.signals import set_on_signals

if TYPE_CHECKING:
    from operations.phase import Status

_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.4
_LOOK_CLOSELY_SECONDS = 0.1
_STOP_SECONDS = 30.0


def run(settings: Settings, *, until_synced: bool) -> int:
    """Run until stopped, until a daemon gives up, or until in step; the exit code."""
    for name in DAEMONS:
        if is_running(settings.state_dir, settings.stream, name):
            remedy = "See switchback status; stop it first"
            raise BadInput(f"{name} is running already", where=f"stream {settings.stream}", remedy=remedy)
    live = out.is_terminal
    display: Display = LiveDisplay() if live else PlainDisplay()
    quiet = {"SWITCHBACK_LOG_LEVEL": "warning"} if live and settings.log_level == "info" else {}
    daemons = [Daemon(name, settings, display.message, **quiet) for name in DAEMONS]
    for daemon in daemons:
        daemon.load()
    try:
        _look_first(settings)  # while they load
    except BaseException:
        _stop(daemons)
        raise
    code = _work(settings, daemons, display, until_synced=until_synced)
    for daemon in daemons:
        if daemon.exit_code is not None:
            complain(f"{daemon.name}: {daemon.last_words or f'ended with exit code {daemon.exit_code}'}")
    return code


def _look_first(settings: Settings) -> None:
    if not note_path(settings.state_dir, settings.stream, "capture").exists():
        from operations.first_look import look_first  # noqa: PLC0415  (once: later the daemons begin sooner without)

        look_first(settings)


def _work(settings: Settings, daemons: list[Daemon], display: Display, *, until_synced: bool) -> int:
    stop, enough = threading.Event(), threading.Event()
    set_on_signals(stop, enough, say=b"\nswitchback: stopping\n")
    synced = enough.set if until_synced else lambda: None
    began = time.time()
    with display:
        looker = threading.Thread(target=_look, args=(settings, display, stop, synced, began), daemon=True)
        try:
            for daemon in daemons:
                daemon.begin()
            looker.start()
            return _supervise(daemons, enough)
        finally:
            stop.set()
            _stop(daemons)
            if looker.is_alive():
                looker.join(_LOOK_SECONDS)


def _supervise(daemons: list[Daemon], enough: threading.Event) -> int:
    while not enough.wait(_TICK_SECONDS):
        for daemon in daemons:
            daemon.tend()
            if daemon.exit_code is not None:
                return daemon.exit_code
    return 0


def _look(
    settings: Settings, display: Display, stop: threading.Event, synced: Callable[[], None], began: float
) -> None:
    """Runs beside the supervisor, because a server that is away makes a look take long.

    ``began`` is a time before the daemons began, so that their notes are told from older ones.
    """
    from operations.status import Watch  # noqa: PLC0415  (takes as long to load as a daemon takes to begin)

    goal: int | None = None
    with closing(Watch(settings, began)) as watch:
        pause = _LOOK_SECONDS
        while not stop.wait(pause):
            status = watch.look()
            pause = _LOOK_CLOSELY_SECONDS if _rows_are_there(status) else _LOOK_SECONDS
            if not stop.is_set():
                display.update(status)
            if goal is None and status.ledger.copied and status.lag_changes is not None:
                goal = status.source.seq  # under writers that never rest there is always a change on its way
            if goal is not None and status.ledger.seq >= goal and _all_run(status):
                synced()


def _rows_are_there(status: Status) -> bool:
    """From then on the end is near; before, a look would only take time from the daemons."""
    return bool(status.tables) and all(table.done for table in status.tables)


def _all_run(status: Status) -> bool:
    return all(daemon.state == "running" for daemon in status.daemons)


def _stop(daemons: list[Daemon]) -> None:
    for daemon in daemons:
        daemon.ask_to_stop()
    for daemon in daemons:
        daemon.wait(_STOP_SECONDS)
