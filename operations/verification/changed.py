"""The keys that changed since a place in the history, read from the log: verification in O(changes).

Every key that a group behind that place touches is looked at on both sides, as both are now.  So
what was equal at the place, together with these keys, is equal at the place where this ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from operations.verification.comparing import Key
from operations.verification.history import open_history
from operations.verification.record import Place
from shared import wire
from shared.errors import BadInput, Retry, SpineBroken
from shared.groups import Frame
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from shared.settings import Settings
from shared.tables import Schema

_KEYS = 20_000
"""So many keys are looked at together; a key that changes again later is looked at again."""

_PATIENCE_SECONDS = 60.0


def changed_keys(settings: Settings, schema: Schema, since: Place, upto: Place) -> Iterator[tuple[str, list[Key]]]:
    """Table and keys, in batches, of all changes in the groups behind ``since`` up to ``upto``.

    Raises BadInput where the log no longer goes back that far.
    """
    if upto.number <= since.number:
        return
    with closing(open_history(settings)) as log:
        yield from _collect(_groups(log, settings.stream, since, upto), schema)


def _groups(log: LogBackend, stream: str, since: Place, upto: Place) -> Iterator[Frame]:
    try:
        reader = Reader(log.spine, stream, since.position)
        heard = time.monotonic()
        while True:
            events = reader.read(1.0)
            for event in events:
                if isinstance(event, Frame):
                    if event.header.kind == "changes":
                        yield event
                    if event.header.last and event.header.number >= upto.number:
                        return
            if events:
                heard = time.monotonic()
            elif time.monotonic() > heard + _PATIENCE_SECONDS:
                what = f"the log does not bring group {upto.number}, which the replica has applied"
                raise Retry(what, where=f"stream {stream}", remedy="See --log: is it the log that the sink reads?")
    except SpineBroken as error:
        what = "the changes since the last verification are no longer in the log"
        raise BadInput(what, where=error.where, remedy="Verify everything: `switchback verify`") from error


def _collect(frames: Iterator[Frame], schema: Schema) -> Iterator[tuple[str, list[Key]]]:
    places = {table.name: table.key_places for table in schema.tables}
    found: dict[str, dict[Key, None]] = {}
    count = 0
    for frame in frames:
        for change in wire.decode_changes(frame.piece):
            if change.table in places:
                key = tuple(change.values[place] for place in places[change.table])
                found.setdefault(change.table, {})[key] = None
                count += 1
        if count >= _KEYS:
            yield from ((name, list(keys)) for name, keys in found.items())
            found, count = {}, 0
    yield from ((name, list(keys)) for name, keys in found.items())
