"""Who can be asked why capture stopped, when it no longer runs: the sink, which reads it in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.errors import BadInput, Hold, LeaseLost, Refused, Stop, SwitchbackError
from shared.log.contract import LogBackend
from shared.reports import send_stopped


@contextmanager
def told(log: LogBackend) -> Iterator[None]:
    """Leave the class of an error that does not pass by itself in the log; not where another capture works."""
    try:
        yield
    except (LeaseLost, Refused):
        raise
    except (BadInput, Hold, Stop) as trouble:
        with suppress(SwitchbackError):  # the error itself is what matters
            send_stopped(log, trouble.label)
        raise
