"""Whether the broker is who it should be, asked before the client: that only says that it cannot be reached."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

from shared.errors import BadInput
from shared.log.kafka.clients import Settings

_SECONDS = 3.0


def check_certificate(settings: Settings, brokers: list[str]) -> None:
    """BadInput where the first broker that answers shows a certificate that is not to be trusted."""
    if not str(settings.get("security_protocol", "")).endswith("SSL"):
        return
    context = _context(settings)
    for broker in brokers:
        host, _, port = broker.rpartition(":")
        with suppress(OSError, ValueError):
            _shake_hands(context, host, int(port))
            return


def _context(settings: Settings) -> ssl.SSLContext:
    given = settings.get("ssl_cafile")
    try:
        return ssl.create_default_context(cafile=str(given) if given else None)
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise BadInput(f"the certificates cannot be read: {reason}", where=str(given)) from error


def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> None:
    try:
        with (
            socket.create_connection((host.strip("[]"), port), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            return
    except ssl.SSLCertVerificationError as error:
        remedy = "Set [kafka] cafile to the certificates of who vouches for the broker, and use its name in log"
        what = f"the broker's certificate is not to be trusted: {error.verify_message}"
        raise BadInput(what, where=f"{host}:{port}", remedy=remedy) from error
