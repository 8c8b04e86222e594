"""Telling the application who is primary: the env file first, then the hook, then the control stream.

All of it may be done again, as often as one likes; ``resume`` does, until it went well.
"""

from __future__ import annotations

from operations.screen import complain
from operations.telling.addresses import postgres_address, sqlite_address
from operations.telling.env_file import EPOCH, PRIMARY, URL, check_env_file, read_env_file, write_env_file
from operations.telling.hooks import facts_of, run_hook
from shared.control.channel import Channel
from shared.control.fold import State, side_of
from shared.control.records import OPERATOR, Announced, now_ms
from shared.errors import BadInput
from shared.settings import Settings
from shared.steps import reached

__all__ = ["announce", "check_telling", "facts_of", "is_told", "run_hook", "tell_env_file"]


def announce(settings: Settings, channel: Channel) -> bool:
    """Say who is primary now, in all ways that are configured; False where one of them failed, which is told.

    Another operator may have made the next switch, and told of it, while this program slept: then once more.
    """
    while True:
        state = channel.look()
        told = _tell_file(settings, state.epoch)
        reached("file-told")
        facts = facts_of(settings, state.epoch, rehearsal=False, attempt=_attempt_of(state))
        told = run_hook(settings, "opened", facts) and told
        reached("hook-told")
        if told and not channel.say(Announced(by=OPERATOR, at_ms=now_ms(), epoch=state.epoch)):
            return True
        if channel.open().epoch == state.epoch:
            complain("the application may not know who is primary: repair it and run `switchback resume`")
            return False


def is_told(settings: Settings, state: State) -> bool:
    """Whether the application knows who is primary, by the log and by its env file."""
    if state.announced < state.epoch or not state.epoch or settings.env_file is None:
        return state.announced >= state.epoch
    try:
        return read_env_file(settings.env_file.expanduser()).get(EPOCH) == str(state.epoch)
    except BadInput:
        return False


def check_telling(settings: Settings, epoch: int) -> None:
    """BadInput where the env file could not be written for that epoch: to know it before anything is done."""
    if settings.env_file is not None:
        check_env_file(settings.env_file.expanduser(), env_values(settings, epoch))


def tell_env_file(settings: Settings, epoch: int) -> None:
    """Set the env file to who is primary in that epoch; BadInput where it cannot be written."""
    if settings.env_file is not None:
        write_env_file(settings.env_file.expanduser(), env_values(settings, epoch))


def env_values(settings: Settings, epoch: int) -> dict[str, str]:
    """Our lines of the env file."""
    side = side_of(epoch)
    url = postgres_address(settings) if side == "postgres" else sqlite_address(settings)
    return {URL: url, PRIMARY: side, EPOCH: str(epoch)}


def _tell_file(settings: Settings, epoch: int) -> bool:
    try:
        tell_env_file(settings, epoch)
    except BadInput as error:
        complain(str(error))
        return False
    return True


def _attempt_of(state: State) -> str:
    return state.last.attempt.id if state.last and state.last.opened else ""
