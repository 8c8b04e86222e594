"""The daemons' small HTTP server: metrics, who is primary, and whether all is well; no answer asks a database."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from shared.wsgi import Application, route


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  (the signature is given)
        """Nobody wants a line for each scrape."""


def start_server(bind: str, port: int, registry: CollectorRegistry, pages: Mapping[str, Application]) -> int:
    """Serve ``pages`` by path, and metrics, from now on, in a thread; returns the port, which for 0 is a free one.

    OSError where it is taken.
    """

    class Server(_Server):
        address_family = _family(bind, port)

    server = make_server(bind, port, route(pages, make_wsgi_app(registry)), Server, _Silent)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server.server_port


def _family(bind: str, port: int) -> socket.AddressFamily:
    found = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return socket.AddressFamily(found[0][0])
