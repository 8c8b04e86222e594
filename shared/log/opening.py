"""From a log's address to its backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from shared.addresses import no_log
from shared.errors import BadInput
from shared.log.contract import LogBackend
from shared.log.embedded import EmbeddedLog
from shared.log.embedded_file import has_content
from shared.options import Kafka, Settings

_DAY_MS = 24 * 3600 * 1000
_RETENTION_DAYS = 7


def open_log_of(settings: Settings, *, make: bool = True) -> LogBackend:
    """Open the log that the settings name, in the way they say; raises as ``open_log`` does."""
    kafka = settings.kafka
    return open_log(
        settings.log,
        settings.stream,
        client=client_settings(kafka),
        retention_ms=settings.retention_days * _DAY_MS,
        replication=kafka.replication,
        make=make,
    )


def open_log(  # noqa: PLR0913  (what there is to know of a log)
    url: str,
    stream: str,
    *,
    client: Mapping[str, object] | None = None,
    retention_ms: int = _RETENTION_DAYS * _DAY_MS,
    replication: int = 0,
    make: bool = True,
) -> LogBackend:
    """Open ``embedded:PATH`` or ``kafka://HOST:PORT[,HOST:PORT]`` for a stream.

    ``client`` holds kafka-python's settings for security.  Raises BadInput for an address of neither form and
    for a log that cannot serve, Retry where a broker cannot be reached, and NoLog for one that is not there, where
    it is not to be made.
    """
    scheme = urlsplit(url).scheme
    if scheme == "embedded":
        return EmbeddedLog(Path(url.removeprefix("embedded:")), make=make)
    if scheme == "kafka":
        from shared.log.kafka import KafkaLog  # noqa: PLC0415  (a migration without a broker need not load it)

        return KafkaLog(_bootstrap(url), stream, client, retention_ms=retention_ms, replication=replication, make=make)
    raise no_log()


def log_is_there(settings: Settings) -> bool:
    """Whether an embedded log has been made; a broker would have to be asked, and is taken to have one."""
    return not settings.log.startswith("embedded:") or has_content(Path(settings.log.removeprefix("embedded:")))


def check_place(settings: Settings) -> None:
    """BadInput where an embedded log is not there and cannot be made; nothing is made by looking."""
    if not settings.log.startswith("embedded:"):
        return
    path = Path(settings.log.removeprefix("embedded:")).absolute()
    folder = path.parent
    if folder == settings.state_dir:  # this one the daemons make
        folder = next(place for place in (folder, *folder.parents) if place.exists())
    if path.exists() or (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        return
    what = "the log's folder cannot be written to" if folder.is_dir() else "the log's folder does not exist"
    raise BadInput(what, where=str(folder), remedy="Name a file in a folder that can be written to")


def would_make(settings: Settings) -> list[str]:
    """The file or the topics that opening the log would make; nothing is made by looking.  Raises as opening does."""
    url = settings.log
    if url.startswith("embedded:"):
        check_place(settings)
        return [] if log_is_there(settings) else [url.removeprefix("embedded:")]
    if urlsplit(url).scheme != "kafka":
        raise no_log()
    from shared.log.kafka import try_kafka  # noqa: PLC0415  (a migration without a broker need not load it)

    kafka = settings.kafka
    return try_kafka(
        _bootstrap(url),
        settings.stream,
        client_settings(kafka),
        retention_ms=settings.retention_days * _DAY_MS,
        replication=kafka.replication,
    )


def _bootstrap(url: str) -> str:
    return url.removeprefix("kafka://").rstrip("/")


def client_settings(kafka: Kafka) -> dict[str, object]:
    """The security settings as kafka-python names them."""
    settings: dict[str, object] = {"security_protocol": kafka.security_protocol}
    if kafka.security_protocol.startswith("SASL"):
        settings |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_user,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.cafile is not None:
        settings["ssl_cafile"] = str(kafka.cafile)
    return settings
