"""Kafka Connect with Debezium's JDBC sink, for tests: a worker of its own by ``deploy/connect/connect``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from missing import find_free_ports, give_up

KIT = Path(__file__).parents[2] / "deploy" / "connect"


_LATER = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
"""The connector is not known yet, or the worker is busy with itself."""


@dataclass(frozen=True)
class Worker:
    """A worker that runs one connector."""

    folder: Path
    port: int
    name: str

    def failure(self) -> str:
        """Why the connector's task failed, "" while it works, or while the worker does not know or not answer."""
        address = f"http://127.0.0.1:{self.port}/connectors/{self.name}/status"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                tasks = json.load(answer)["tasks"]
        except urllib.error.HTTPError as error:
            if error.code not in _LATER:
                raise
            return ""
        except TimeoutError:
            return ""
        return "\n".join(task.get("trace", "") for task in tasks if task["state"] == "FAILED")

    @property
    def output(self) -> str:
        return (self.folder / "connect.log").read_text(errors="replace")


Connect = Callable[..., Worker]


def connector(dsn: str, topics: str, **more: str) -> dict[str, Any]:
    """The connector of the repository for that database and that prefix of topics."""
    given = conninfo_to_dict(dsn)
    found: dict[str, Any] = json.loads((KIT / "postgres-sink.json").read_text())
    found["config"] |= {
        "topics.regex": f"{topics}[.].*",
        "connection.url": f"jdbc:postgresql://{given['host']}:{given.get('port', 5432)}/{given['dbname']}",
        "connection.username": given["user"],
        "connection.password": given.get("password") or "none",
        **more,
    }
    return found


@pytest.fixture
def connect(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Connect]:
    """``connect(connector)`` starts a worker with that connector; it is stopped at the end."""
    if not shutil.which("java"):
        give_up("no Java", "install a JDK, 17 or newer")
    if "CONNECT_LIBS" not in os.environ and not (KIT / "libs" / ".fetched").exists():
        give_up("no Kafka Connect", "run `make connect`")
    folder = tmp_path / "connect"
    folder.mkdir()

    def start(given: dict[str, Any]) -> Worker:
        file = folder / "connector.json"
        file.write_text(json.dumps(given))
        port = find_free_ports(1)
        _call("start", kafka_bootstrap, str(port), str(folder), str(file))
        return Worker(folder, port, given["name"])

    yield start
    _call("stop", str(folder))


def _call(*words: str) -> None:
    nowhere = subprocess.DEVNULL  # the worker would keep a pipe open
    options = {"CONNECT_JAVA_OPTS": "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
    subprocess.run([KIT / "connect", *words], env={**options, **os.environ}, check=True, stdin=nowhere, stdout=nowhere)
