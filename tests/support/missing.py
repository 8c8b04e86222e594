"""What to do without a server: on CI that is a failure, at a desk a skip that says how to get it."""

from __future__ import annotations

import os
import random
import socket
from contextlib import ExitStack, suppress
from typing import NoReturn

import pytest


def give_up(what: str, remedy: str) -> NoReturn:
    """Fail on CI, skip elsewhere."""
    reason = f"{what}: {remedy}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def find_free_ports(count: int) -> int:
    """The first of ``count`` consecutive loopback ports that are free now.

    They lie below those that the system gives to outgoing connections, so that they are still free
    when a server that was stopped wants its own back.
    """
    while True:
        first = random.randrange(10_000, 32_000)
        with ExitStack() as held, suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
