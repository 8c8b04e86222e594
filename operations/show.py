"""``switchback log show``: the groups of a stream's log, one line each."""

from __future__ import annotations

from contextlib import closing

from operations.completion import open_existing_log
from operations.screen import say, say_json
from shared.log.listing import list_groups
from shared.settings import Settings


def show_log(settings: Settings, start: int, *, json: bool) -> None:
    """Print the log from that group on, as it is now."""
    with closing(open_existing_log(settings)) as log:
        for group in list_groups(log.spine, settings.stream, start):
            say_json(group) if json else say(str(group))
