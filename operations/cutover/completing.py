"""``switchback complete``: the migration is over; what was made for it goes, the data stays.

From here on there is no way back, so it asks.  The SQLite file keeps its data and, unless told otherwise, its
fence: a program that was forgotten gets an error there, and does not write into a file that nobody reads.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from operations.completion import open_existing_log
from operations.daemon import DAEMONS
from operations.screen import say
from operations.uninstall import forget_in_target, in_target, refuse_other_stream, remove_files
from shared.control.channel import Channel
from shared.control.fold import State
from shared.control.records import OPERATOR, Completed, now_ms
from shared.errors import BadInput
from shared.presence import completed_path, is_running, note_completed
from shared.settings import Settings
from shared.sqlite.connection import connect, translated
from shared.sqlite.installation import uninstall

_WAIT_SECONDS = 20.0


def plan_completion(settings: Settings, *, keep_data: bool, unfence: bool) -> list[str]:
    """What would be done, in words; BadInput where the migration cannot be completed now."""
    with closing(open_existing_log(settings)) as log:
        _check(Channel(log.control).open())
    if settings.source.is_file():  # a run that was interrupted may have deleted it
        refuse_other_stream(settings)
    fence = "its fence, and " if unfence else ""
    file = f"the file {settings.source}" if not keep_data else f"{fence}capture's triggers and tables in it"
    return [
        "both daemons end",
        *(f"PostgreSQL: {what} is removed" for what in in_target(settings)),
        f"SQLite: {file} {'is' if not keep_data else 'are'} removed",
        what_becomes_of_log(settings),
        f"{completed_path(settings.state_dir, settings.stream)} stays: it keeps the daemons from beginning anew",
        "there is no way back to SQLite any more",
    ]


def what_becomes_of_log(settings: Settings) -> str:
    """A broker's topics are not ours to delete: others may read them still."""
    if settings.log.startswith("embedded:"):
        return "the stream's notes, and its embedded log, are removed"
    topics = ", ".join(f"{settings.stream}.{part}" for part in ("spine", "control", "progress"))
    return f"the stream's notes are removed; its topics stay ({topics}, and table topics): delete them yourself"


def complete(settings: Settings, *, keep_data: bool, unfence: bool) -> list[str]:
    """Do it; returns what was removed, in words."""
    with closing(open_existing_log(settings)) as log:
        channel = Channel(log.control)
        state = channel.open()
        _check(state)
        if not state.completed:
            void = channel.say(Completed(by=OPERATOR, at_ms=now_ms(), epoch=state.epoch))
            if void:
                raise BadInput(f"not now: {void}", remedy="See `switchback status`")
    _leave_note(settings, state.epoch)  # before the daemons are looked for: one that starts later finds it
    _await_daemons(settings)
    planned = in_target(settings)
    removed = [f"PostgreSQL: {what}" for what in (*forget_in_target(settings), *planned)]
    removed += _clean_file(settings, keep_data=keep_data, unfence=unfence)
    return removed + [f"file {path}" for path in remove_files(settings)]


def _leave_note(settings: Settings, epoch: int) -> None:
    try:
        note_completed(settings.state_dir, settings.stream, epoch)
    except OSError as error:
        what = f"the state folder cannot be written to: {error.strerror}"
        raise BadInput(what, where=str(settings.state_dir)) from error


def _check(state: State) -> None:
    if state.attempt:
        raise BadInput("a change of primary is under way", remedy="See `switchback status`")
    if state.primary == "sqlite":
        remedy = "Run `switchback cutover` first; to give the migration up: `switchback uninstall --all`"
        raise BadInput("SQLite is the primary, so nothing has been migrated yet", remedy=remedy)


def _await_daemons(settings: Settings) -> None:
    """They read that it is over, and end by themselves."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while running := [name for name in DAEMONS if is_running(settings.state_dir, settings.stream, name)]:
        if time.monotonic() > deadline:
            raise BadInput(f"{' and '.join(running)} did not end", remedy="Stop them and run this again")
        time.sleep(0.1)
    say("  both daemons have ended", "dim")


def _clean_file(settings: Settings, *, keep_data: bool, unfence: bool) -> list[str]:
    path = settings.source
    if not keep_data:
        files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
        there = [file for file in files if file.exists()]
        for file in there:
            _remove(file)
        return [f"file {file}" for file in there]
    with closing(connect(path, busy_seconds=settings.busy_seconds)) as db, translated(path):
        return [f"SQLite: {name}" for name in uninstall(db, keep_closed=not unfence)]


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        remedy = "Make its folder writable and run `switchback complete` with the same words again"
        raise BadInput(f"the file cannot be removed: {error.strerror}", where=str(file), remedy=remedy) from error
