"""The servers that all sides of a comparison use alike: one PostgreSQL, one Kafka broker, stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import kafka
import psycopg
from psycopg import sql

from shared.embedded_postgres import EmbeddedPostgres, find_system_programs, find_wheel_programs

POSTGRES_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
"""All else is PostgreSQL's default; fsync is on."""

_BROKER = Path(__file__).parents[2] / "deploy" / "kafka" / "broker"


@dataclass(frozen=True)
class Servers:
    """Where they are: the superuser's DSN, the broker's host:port, and a folder for what is measured."""

    postgres: str
    kafka: str
    folder: Path

    @contextmanager
    def database(self) -> Iterator[str]:
        """The DSN of a fresh database; WAL of earlier runs is on disk before this one begins."""
        name = f"bench_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self.postgres, autocommit=True) as db:
            db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            db.execute("CHECKPOINT")
        try:
            yield f"{self.postgres.rpartition('/')[0]}/{name}"
        finally:
            with psycopg.connect(self.postgres, autocommit=True) as db:
                db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)

    @contextmanager
    def log(self, kind: str, folder: Path) -> Iterator[tuple[str, str]]:
        """A stream's name and the URL of its new log, "kafka" or "embedded"; its topics are deleted afterwards."""
        stream = f"bench-{uuid.uuid4().hex[:8]}"
        if kind == "embedded":
            yield stream, f"embedded:{folder / 'log.db'}"
            return
        try:
            yield stream, f"kafka://{self.kafka}"
        finally:
            self._delete_topics(stream)

    def _delete_topics(self, stream: str) -> None:
        admin = kafka.KafkaAdminClient(bootstrap_servers=self.kafka)
        try:
            admin.delete_topics([name for name in admin.list_topics() if name.startswith(f"{stream}.")])
        finally:
            admin.close()

    @property
    def postgres_version(self) -> str:
        with psycopg.connect(self.postgres) as db:
            row = db.execute("SHOW server_version").fetchone()
            return f"PostgreSQL {row[0].split()[0]}" if row else ""


@contextmanager
def servers() -> Iterator[Servers]:
    """Start both; ``SWITCHBACK_TEST_POSTGRES`` and ``SWITCHBACK_TEST_KAFKA`` name running ones instead."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="switchback-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # as root PostgreSQL runs under another account, which must get there
        dsn = os.environ.get("SWITCHBACK_TEST_POSTGRES") or stack.enter_context(_postgres(folder / "postgres"))
        broker = os.environ.get("SWITCHBACK_TEST_KAFKA") or stack.enter_context(_kafka(folder / "kafka"))
        yield Servers(dsn, broker, folder)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    folder.mkdir(mode=0o711)
    programs = [*find_system_programs(), *find_wheel_programs()]
    server = EmbeddedPostgres(folder, programs=programs, settings=POSTGRES_SETTINGS)
    try:
        yield server.start()
    finally:
        server.remove()


@contextmanager
def _kafka(folder: Path) -> Iterator[str]:
    port = _free_ports()
    _broker("start", str(port), str(folder))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        _broker("stop", str(folder))


def _broker(*words: str) -> None:
    nowhere = subprocess.DEVNULL  # the broker would keep a pipe open
    subprocess.run([_BROKER, *words], check=True, stdin=nowhere, stdout=nowhere)


def _free_ports() -> int:
    """A free port below those of outgoing connections, the next one free as well."""
    for port in range(19_092, 32_000, 10):
        with ExitStack() as held, suppress(OSError):
            for one in (port, port + 1):
                held.enter_context(socket.socket()).bind(("127.0.0.1", one))
            return port
    message = "no two free ports"
    raise RuntimeError(message)
