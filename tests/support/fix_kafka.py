"""Apache Kafka for tests: a real broker.

``SWITCHBACK_TEST_KAFKA`` names a running one (host:port), and wins; ``SWITCHBACK_TEST_DOCKER=1`` starts
one in a container.  Otherwise each test process starts one of its own by ``deploy/kafka/broker``, whose
jars ``make kafka`` fetches.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from missing import find_free_ports, give_up

_KIT = Path(__file__).parents[2] / "deploy" / "kafka"
_PROPERTIES = (
    "broker.session.timeout.ms=3000",  # how long a controller waits before a killed broker may come back
    "broker.heartbeat.interval.ms=500",
    "log.cleaner.dedupe.buffer.size=33554432",
)
_JAVA = "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # starts fast; its peak speed matters to no test


class Kafka(Protocol):
    """What all kinds of broker have in common."""

    @property
    def bootstrap(self) -> str:
        """The address to connect to, "host:port"."""


@dataclass(frozen=True)
class GivenBroker:
    """A broker that somebody else runs; it cannot be stopped from here."""

    bootstrap: str


@dataclass
class Broker:
    """A broker on a folder and a port of its own; both stay the same however often it starts."""

    folder: Path
    port: int = field(default_factory=lambda: find_free_ports(2))  # the second one is its controller's

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process, None after ``stop``."""
        file = self.folder / "broker.pid"
        return int(file.read_text()) if file.exists() else None

    def start(self, *properties: str) -> None:
        """Start it and wait until it answers; ``properties`` are "name=value"."""
        self._call("start", str(self.port), str(self.folder), *_PROPERTIES, *properties)

    def stop(self) -> None:
        """Stop it in good order and wait until it is gone."""
        self._call("stop", str(self.folder))

    def kill(self) -> None:
        """Crash it: no goodbye to clients, nothing flushed."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.stop()  # waits until it is gone

    def _call(self, *words: str) -> None:
        environment = {**os.environ, "BROKER_JAVA_OPTS": os.environ.get("BROKER_JAVA_OPTS", _JAVA)}
        with tempfile.TemporaryFile("w+") as said:  # not a pipe: the broker keeps it open
            done = subprocess.run([_KIT / "broker", *words], env=environment, stdout=said, stderr=said, check=False)
            said.seek(0)
            assert done.returncode == 0, said.read()


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Kafka]:
    """A broker for all tests of this process; topics must have names of their own."""
    if given := os.environ.get("SWITCHBACK_TEST_KAFKA"):
        yield GivenBroker(given)
    elif os.environ.get("SWITCHBACK_TEST_DOCKER") == "1":
        with _in_container() as broker:
            yield broker
    else:
        with _running() as own:
            yield own


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_broker: Kafka) -> str:
    """The broker's address, "host:port"."""
    return kafka_broker.bootstrap


@pytest.fixture
def own_kafka() -> Iterator[Broker]:
    """A broker for this test alone, which may stop, kill and start it; data and port stay the same."""
    with _running() as broker:
        yield broker


@contextmanager
def _running() -> Iterator[Broker]:
    with (
        tempfile.TemporaryDirectory(prefix="switchback-kafka-") as folder,
        start_broker(Broker(Path(folder))) as broker,
    ):
        yield broker


@contextmanager
def start_broker(broker: Broker, *properties: str) -> Iterator[Broker]:
    """That broker while it runs, with "name=value" properties besides."""
    if not shutil.which("java"):
        give_up("no Java", "install a JDK, 17 or newer")
    if "KAFKA_LIBS" not in os.environ and not (_KIT / "libs" / ".fetched").exists():
        give_up("no Kafka broker", "run `make kafka`")
    broker.start(*properties)
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def _in_container() -> Iterator[Kafka]:
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415  (needs Docker)

    with KafkaContainer().with_kraft() as container:
        yield GivenBroker(container.get_bootstrap_server())
