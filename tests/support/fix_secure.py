"""Servers as they stand in a company: PostgreSQL that speaks TLS alone, Kafka with TLS, SCRAM and ACLs."""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError
from psycopg.conninfo import make_conninfo

from certificates import Authority
from daemons import wait_until
from fix_kafka import Broker, start_broker
from fix_postgres import SETTINGS
from missing import find_free_ports, give_up
from shared.embedded_postgres import EmbeddedPostgres, find_system_programs

_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for both servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure_postgres(authority: Authority) -> Iterator[str]:
    """The superuser's DSN of a server that takes connections with TLS alone, certificate checked."""
    programs = find_system_programs()  # the wheel's are built without TLS
    if not programs:
        give_up("no PostgreSQL server with TLS", "install the operating system's")
    folder = Path(tempfile.mkdtemp(prefix="switchback-test-"))
    folder.chmod(0o711)
    pem, key = (Path(shutil.copy(file, folder)) for file in authority.vouch("postgres"))
    pem.chmod(0o644)
    key.chmod(0o600)
    tls = {"ssl": "on", "ssl_cert_file": str(pem), "ssl_key_file": str(key)}
    server = EmbeddedPostgres(folder, programs=programs, settings={**SETTINGS, **tls})
    server._give(key)
    try:
        server.start()
        dsn = make_conninfo(server.dsn, host="localhost", sslmode="verify-full", sslrootcert=str(authority.pem))
        _take_tls_alone(dsn)
        yield dsn
    finally:
        server.stop("immediate")
        shutil.rmtree(folder)


def _take_tls_alone(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        row = db.execute("SELECT current_setting('hba_file')").fetchone()
        assert row
        Path(row[0]).write_text("hostssl all all all scram-sha-256\n")
        db.execute("SELECT pg_reload_conf()")


@dataclass(frozen=True)
class SecureKafka:
    """A broker; ``log`` is its address for us, ``administrator`` another one, which is not for programs."""

    broker: Broker
    administrator: str
    properties: tuple[str, ...]
    authority: Path

    @property
    def log(self) -> str:
        return f"kafka://127.0.0.1:{self.broker.port}"

    def set_password(self, user: str, password: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=self.administrator)) as admin:
            given = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
            admin.alter_user_scram_credentials([given])
        wait_until("the broker goes by the new password", lambda: self._lets_in(user, password))

    def _lets_in(self, user: str, password: str) -> bool:
        """It does so a little later than it answers."""
        by = {"security_protocol": "SASL_SSL", "ssl_cafile": str(self.authority), "sasl_mechanism": "SCRAM-SHA-512"}
        who = {"sasl_plain_username": user, "sasl_plain_password": password, "bootstrap_timeout_ms": 2_000}
        with suppress(KafkaError):
            KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.broker.port}", **by, **who).close()
            return True
        return False

    def records(self, topic: str) -> int:
        """How many stand in the topic."""
        with closing(KafkaConsumer(bootstrap_servers=self.administrator)) as consumer:
            return int(consumer.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)])

    def run(self, script: str) -> None:
        """Do what a script of kafka-topics.sh and kafka-acls.sh says, by the same protocol."""
        with closing(KafkaAdminClient(bootstrap_servers=self.administrator)) as admin:
            for line in script.splitlines():
                command, *words = shlex.split(line, comments=True) or [""]
                if command == "kafka-topics.sh":
                    _create_topic(admin, words)
                elif command == "kafka-acls.sh":
                    _allow(admin, words)
                else:
                    assert not command, line


def _create_topic(admin: KafkaAdminClient, words: list[str]) -> None:
    parser = _parser("--topic", "--partitions", "--replication-factor")
    parser.add_argument("--config", action="append")
    for flag in ("--create", "--if-not-exists"):
        parser.add_argument(flag, action="store_true", required=True)
    given = parser.parse_args(words)
    size = {"num_partitions": int(given.partitions), "replication_factor": int(given.replication_factor)}
    admin.create_topics({given.topic: {**size, "configs": dict(pair.split("=", 1) for pair in given.config)}})


def _allow(admin: KafkaAdminClient, words: list[str]) -> None:
    parser = _parser("--topic")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--allow-principal")
    who.add_argument("--deny-principal")
    parser.add_argument("--resource-pattern-type", default="literal")
    parser.add_argument("--operation", action="append")
    parser.add_argument("--add", action="store_true", required=True)
    given = parser.parse_args(words)
    topic = ResourcePattern(
        ResourceType.TOPIC, given.topic, ACLResourcePatternType[given.resource_pattern_type.upper()]
    )
    names = {operation.name.replace("_", ""): operation for operation in ACLOperation}
    operations = [names[name.upper()] for name in given.operation]
    kind = ACLPermissionType.ALLOW if given.allow_principal else ACLPermissionType.DENY
    principal = given.allow_principal or given.deny_principal
    admin.create_acls([ACL(principal, "*", one, kind, topic) for one in operations])


def _parser(*needed: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("--bootstrap-server", "--command-config", *needed):
        parser.add_argument(flag, required=True)
    return parser


@pytest.fixture(scope="module")
def secure_kafka(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker in which nobody may do anything that no ACL allows; streams must have names of their own."""
    port = find_free_ports(3)
    pem, key = authority.vouch("kafka")
    folder = tmp_path_factory.mktemp("kafka")
    store = folder / "broker.pem"
    store.write_text(key.read_text() + pem.read_text())
    store.chmod(0o600)
    listeners = f"SASL_SSL://127.0.0.1:{port},ADMIN://127.0.0.1:{port + 2}"
    properties = (
        f"listeners={listeners},CONTROLLER://127.0.0.1:{port + 1}",
        f"advertised.listeners={listeners}",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,ADMIN:PLAINTEXT,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name=ADMIN",
        "sasl.enabled.mechanisms=SCRAM-SHA-512",
        f"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={_LOGIN} required;",
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={store}",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",  # whoever comes by the administrator's listener
    )
    with start_broker(Broker(folder / "broker", port), *properties) as broker:
        yield SecureKafka(broker, f"127.0.0.1:{port + 2}", properties, authority.pem)
