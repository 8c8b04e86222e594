"""Telling the application who is primary, and what is going on: hooks, the env file, the control stream."""

from __future__ import annotations

from shared.control.channel import Channel
from shared.control.records import OPERATOR, Announced, now_ms
from shared.settings import Settings


def announce(settings: Settings, channel: Channel) -> None:
    """Say who is primary now, in all ways that are configured."""
    channel.say(Announced(by=OPERATOR, at_ms=now_ms(), epoch=channel.state.epoch))


def facts_of(settings: Settings, epoch: int, *, rehearsal: bool, reason: str = "") -> dict[str, str]:
    return {}


def run_hook(settings: Settings, phase: str, facts: dict[str, str]) -> None:
    return
