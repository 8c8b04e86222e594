"""``switchback grants kafka``: the commands that make the stream's topics and say who may do what there.

Pure.  With the log's topics made beforehand only ``switchback-topics`` needs the right to make any.  Nobody needs a
consumer group, nor a right on the cluster: producers are not idempotent (see ``shared.log.kafka.clients``).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from operations.grants.postgres import Naming
from shared.errors import BadInput
from shared.log.kafka.topics import made_with, topics_of
from shared.settings import Settings

_DAY_MS = 24 * 3600 * 1000
_REPLICAS = 3
_LOOK, _READ, _WRITE = ("Describe",), ("Read",), ("Read", "Write")
_MAKE = ("Create", "Read", "Write", "DescribeConfigs")
_RIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "capture": {"spine": _WRITE, "control": _WRITE, "progress": _WRITE},
    "sink": {"spine": _READ, "control": _WRITE, "progress": _WRITE},
    "operator": {"spine": _READ, "control": _WRITE, "progress": _WRITE},
    "topics": {"spine": _READ, "control": _READ, "progress": _WRITE},
    "status": {"spine": _LOOK, "control": _READ, "progress": _READ},
}
"""Whoever opens the log sees to it that the topics' settings lose nothing: each has DescribeConfigs besides."""


def kafka_grants(settings: Settings, naming: Naming, command_config: str) -> str:
    """A shell script of Kafka's own tools; BadInput where the log is not in Kafka."""
    if not settings.log.startswith("kafka://"):
        raise BadInput("the log is not in Kafka", where=settings.log, remedy="Set log to kafka://HOST:PORT")
    broker = settings.log.removeprefix("kafka://").rstrip("/")
    reach = ["--bootstrap-server", broker, "--command-config", command_config]
    acls = [*_acls(settings.stream, naming, reach), *_table_topics(settings, naming, reach)]
    lines = [*_topics(settings, reach), *acls]
    head = (
        f"# Topics and rights of stream {settings.stream}; {command_config} is how an administrator reaches the broker."
    )
    return "\n".join([head, *(shlex.join(line) for line in lines)]) + "\n"


def _topics(settings: Settings, reach: list[str]) -> Iterator[list[str]]:
    replicas = settings.kafka.replication or _REPLICAS
    for name, topic in topics_of(settings.stream, settings.retention_days * _DAY_MS).items():
        size = ["--partitions", "1", "--replication-factor", str(replicas)]
        given = [word for pair in made_with(topic, replicas).items() for word in ("--config", "=".join(pair))]
        yield ["kafka-topics.sh", *reach, "--create", "--if-not-exists", "--topic", name, *size, *given]


def _table_topics(settings: Settings, naming: Naming, reach: list[str]) -> Iterator[list[str]]:
    """Which tables there will be is not known here, so by prefix; the log's own, if they begin so, are denied."""
    prefix = settings.topics_prefix or settings.stream
    principal = f"User:{naming.role('topics')}"
    operations = [word for name in _MAKE for word in ("--operation", name)]
    where = ["--topic", f"{prefix}.", "--resource-pattern-type", "prefixed"]
    yield ["kafka-acls.sh", *reach, "--add", "--allow-principal", principal, *operations, *where]
    if f"{settings.stream}.".startswith(f"{prefix}."):
        for part in ("spine", "control"):
            denied = ["--deny-principal", principal, "--operation", "Write", "--topic", f"{settings.stream}.{part}"]
            yield ["kafka-acls.sh", *reach, "--add", *denied]


def _acls(stream: str, naming: Naming, reach: list[str]) -> Iterator[list[str]]:
    for program, rights in _RIGHTS.items():
        who = ["--add", "--allow-principal", f"User:{naming.role(program)}"]
        for part, allowed in rights.items():
            operations = [word for name in (*allowed, "DescribeConfigs") for word in ("--operation", name)]
            yield ["kafka-acls.sh", *reach, *who, *operations, "--topic", f"{stream}.{part}"]
