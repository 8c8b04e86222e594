"""A wire that a test may cut: a TCP proxy on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest


class CutProxy:
    """Forwards connections to ``host``:``port``; ``cut`` drops them all, ``refuse`` takes no new ones.

    ``stall`` keeps back what one of them sends.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._refusing = False
        self._room: int | None = None  # bytes to the server that still pass, None where nothing is counted
        self._cut = threading.Event()
        self.stalled = threading.Event()
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name="cut-proxy", daemon=True).start()

    def cut(self) -> None:
        """Drop every connection as a broken network does: both ends see a reset."""
        with self._lock:
            gone, self._open = self._open, set()
            was, self._cut = self._cut, threading.Event()
        for end in gone:
            _reset(end)
        was.set()

    def stall(self, room: int) -> None:
        """Keep back, until the next cut, what a connection sends behind so many more bytes to the server.

        ``stalled`` is set when one came to that; it then waits in the middle of what it sends, the server for the rest.
        """
        with self._lock:
            self.stalled.clear()
            self._room = room

    def refuse(self) -> None:
        """Drop every connection, and every new one at once."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def close(self) -> None:
        """End: nobody listens any more."""
        self._refusing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _reset(near)
                continue
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(near)
                continue
            far.settimeout(None)
            self.accepted += 1
            self._join(near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {near, far}
        if self._refusing:  # refuse() came in between
            self.cut()
        threading.Thread(target=self._pump, args=(near, far, self._keep_back), daemon=True).start()
        threading.Thread(target=self._pump, args=(far, near, lambda _count: None), daemon=True).start()

    def _keep_back(self, count: int) -> None:
        with self._lock:
            if self._room is None:
                return
            self._room -= count
            if self._room >= 0:
                return
            self._room, until = None, self._cut
        self.stalled.set()
        until.wait()

    def _pump(self, source: socket.socket, sink: socket.socket, before: Callable[[int], None]) -> None:
        try:
            while data := source.recv(65536):
                before(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            with self._lock:
                self._open -= {source, sink}
            _reset(source)
            _reset(sink)


@pytest.fixture
def cut_proxy() -> Iterator[Callable[[str, int], CutProxy]]:
    """``cut_proxy(host, port)`` makes a proxy to there; its ``port`` is where to connect instead."""
    with contextlib.ExitStack() as proxies:

        def make(host: str, port: int) -> CutProxy:
            proxy = CutProxy(host, port)
            proxies.callback(proxy.close)
            return proxy

        yield make


def _reset(end: socket.socket) -> None:
    """Close with a reset and wake whoever waits on it."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
