"""``switchback log show``: the groups of a stream's log, one line each."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from operations.screen import say, say_json
from shared.errors import BadInput
from shared.log.listing import list_groups
from shared.log.opening import open_log_of
from shared.settings import Settings


def show_log(settings: Settings, start: int, *, json: bool) -> None:
    """Print the log from that group on, as it is now."""
    if settings.log.startswith("embedded:") and not Path(settings.log.removeprefix("embedded:")).exists():
        remedy = "switchback run makes it; see --stream and --log"
        raise BadInput("there is no log yet", where=settings.log, remedy=remedy)
    with closing(open_log_of(settings)) as log:
        for group in list_groups(log.spine, settings.stream, start):
            say_json(group) if json else say(str(group))
