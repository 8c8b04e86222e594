"""From a log's address to its backend."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import BadInput
from shared.log.contract import LogBackend
from shared.log.embedded import EmbeddedLog


def open_log(url: str, stream: str) -> LogBackend:
    """Open ``embedded:PATH`` or ``kafka://HOST:PORT[,HOST:PORT]`` for a stream.

    Raises BadInput for an address of neither form, Retry where a broker cannot be reached.
    """
    scheme = urlsplit(url).scheme
    if scheme == "embedded":
        return EmbeddedLog(Path(url.removeprefix("embedded:")))
    if scheme == "kafka":
        from shared.log.kafka import KafkaLog  # noqa: PLC0415  (a migration without a broker need not load it)

        return KafkaLog(url.removeprefix("kafka://").rstrip("/"), stream)
    raise BadInput(f"unknown log address {url!r}", remedy="Use embedded:PATH or kafka://HOST:PORT")
