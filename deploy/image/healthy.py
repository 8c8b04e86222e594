#!/usr/bin/env python3
"""Whether the daemon of this container lives: the image's health check.  Says nothing and exits with 0 or 1.

A container runs one daemon, so the first port that answers is its own; ports are where the settings say.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

PORTS = {"CAPTURE": 9464, "SINK": 9465, "TOPICS": 9466}


def lives(port: int) -> bool:
    """Whether something there says that it lives."""
    connection = HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    """Try each daemon's port."""
    ports = [os.environ.get(f"SWITCHBACK_{name}_PORT", str(port)) for name, port in PORTS.items()]
    sys.exit(0 if any(port.isdigit() and lives(int(port)) for port in ports) else 1)


if __name__ == "__main__":
    main()
