"""The stream's topics: made with the settings that the log needs, and checked where they are there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import AuthorizationError, TopicAlreadyExistsError

from shared.errors import BadInput
from shared.log.kafka.clients import BATCH_BYTES

_REPLICAS = 3
_FOREVER = -1
_MOST_PATIENT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting that must hold: the value to make the topic with, and whether another one will do as well."""

    wanted: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: ``rules`` are checked, ``settings`` are only for making it."""

    rules: Mapping[str, Rule]
    settings: Mapping[str, str]


def history(retention_ms: int) -> Topic:
    """A topic whose records are kept that long (-1: for ever), whatever their number and size."""
    return Topic({**_exactly("cleanup.policy", "delete"), **_kept(retention_ms), **_SIZE}, _COMMON)


def latest() -> Topic:
    """A topic that keeps the last record of each key; small segments, for only closed ones are compacted."""
    small = {"segment.bytes": "1048576", "segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}
    return Topic(_exactly("cleanup.policy", "compact"), {**_COMMON, **small})


def table_topic(retention_ms: int, largest: int) -> Topic:
    """A table topic: made to keep its records that long, and whoever runs the broker may change that."""
    size = {"max.message.bytes": Rule(str(largest), lambda given: int(given) >= largest)}
    return Topic(size, {**_COMMON, "cleanup.policy": "delete", "retention.ms": str(retention_ms)})


def topics_of(stream: str, retention_ms: int) -> dict[str, Topic]:
    """The stream's topics by name: spine, control stream and reports."""
    parts = {"spine": history(retention_ms), "control": history(_FOREVER), "progress": latest()}
    return {f"{stream}.{part}": topic for part, topic in parts.items()}


def made_with(topic: Topic, replicas: int) -> dict[str, str]:
    """All settings to make the topic with."""
    wanted = {key: rule.wanted for key, rule in topic.rules.items()}
    return {**wanted, **topic.settings, "min.insync.replicas": str(max(1, replicas - 1))}


def _exactly(name: str, value: str) -> dict[str, Rule]:
    return {name: Rule(value, lambda given: given.split(",") == [value])}


def _kept(retention_ms: int) -> dict[str, Rule]:
    def long_enough(given: str) -> bool:
        return int(given) == _FOREVER or (retention_ms != _FOREVER and int(given) >= retention_ms)

    return {
        "retention.ms": Rule(str(retention_ms), long_enough),
        "retention.bytes": Rule(str(_FOREVER), lambda given: int(given) == _FOREVER),
    }


_SIZE = {"max.message.bytes": Rule("1048588", lambda given: int(given) >= BATCH_BYTES)}
_COMMON = {
    "message.timestamp.type": "LogAppendTime",  # retention must not hang on the clock of a client
    "compression.type": "uncompressed",  # a foreign record in a codec that is not here would stop every reader
    "unclean.leader.election.enable": "false",
}


def ensure_topics(admin: Any, topics: Mapping[str, Topic], replication: int = 0) -> None:  # noqa: ANN401
    """Make what is missing and check all; ``replication`` 0 is three, or as many as there are brokers.

    Raises BadInput for a topic whose settings would lose records, or that may be neither made nor looked at.
    """
    there = _partitions(admin, topics)
    if not all(there.values()):
        _make(admin, _missing(topics, there), _replicas(admin, replication))
        there = _await_made(admin, topics)
    _check_all(admin, topics, there)


def try_topics(admin: Any, topics: Mapping[str, Topic], replication: int = 0) -> list[str]:  # noqa: ANN401
    """Those that are missing, after the broker was asked whether it would make them; raises as ``ensure_topics``."""
    there = _partitions(admin, topics)
    missing = _missing(topics, there)
    if missing:
        _make(admin, missing, _replicas(admin, replication), only_try=True)
    _check_all(admin, {name: topic for name, topic in topics.items() if there[name]}, there)
    return list(missing)


def _missing(topics: Mapping[str, Topic], there: Mapping[str, int]) -> dict[str, Topic]:
    return {name: topic for name, topic in topics.items() if not there[name]}


def _replicas(admin: Any, replication: int) -> int:  # noqa: ANN401
    return replication or min(_REPLICAS, len(admin.describe_cluster()["brokers"]))


def _check_all(admin: Any, topics: Mapping[str, Topic], there: Mapping[str, int]) -> None:  # noqa: ANN401
    if not topics:
        return
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    given = admin.describe_configs(resources, config_filter="all").get("topic", {})
    for name, topic in topics.items():
        _check(name, topic, there[name], given.get(name, {}))


def missing_topics(admin: Any, names: Iterable[str]) -> list[str]:  # noqa: ANN401
    """Those of the topics that are not there, or that this user may not see."""
    return [name for name, partitions in _partitions(admin, names).items() if not partitions]


def _partitions(admin: Any, names: Iterable[str]) -> dict[str, int]:  # noqa: ANN401
    """How many partitions each topic has; 0 where there is none."""
    described = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(list(names))}
    return {name: described.get(name, 0) for name in names}


def _make(admin: Any, topics: Mapping[str, Topic], replicas: int, *, only_try: bool = False) -> None:  # noqa: ANN401
    """Make them all at once; where one of them is refused, go on one by one."""
    wanted = {
        name: {"num_partitions": 1, "replication_factor": replicas, "configs": made_with(topic, replicas)}
        for name, topic in topics.items()
    }
    try:
        admin.create_topics(wanted, timeout_ms=_MOST_PATIENT_MS, validate_only=only_try)
    except TopicAlreadyExistsError:  # another program of the stream was faster
        for name, topic in topics.items() if len(topics) > 1 else ():
            _make(admin, {name: topic}, replicas, only_try=only_try)
    except AuthorizationError as error:
        if len(topics) == 1:
            [name] = topics
            raise _may_not_make(name, made_with(topics[name], replicas), replicas) from error
        for name, topic in topics.items():
            _make(admin, {name: topic}, replicas, only_try=only_try)


def _await_made(admin: Any, names: Iterable[str]) -> dict[str, int]:  # noqa: ANN401
    """The broker knows of a topic a moment after the controller has answered, to whichever program that was.

    And a moment later it leads it: until then it refuses what is written, and answers no question for offsets.
    """
    deadline = time.monotonic() + _MOST_PATIENT_MS / 1000
    while not all((there := _partitions(admin, names)).values()) and time.monotonic() < deadline:
        time.sleep(0.01)
    ends = {TopicPartition(name, 0): OffsetSpec.LATEST for name, count in there.items() if count}
    with suppress(AuthorizationError):  # who may not ask is refused later, where it is named
        admin.list_partition_offsets(ends, timeout_ms=_MOST_PATIENT_MS)
    return there


def _may_not_make(name: str, settings: Mapping[str, str], replicas: int) -> BadInput:
    configs = " ".join(f"--config {key}={value}" for key, value in settings.items())
    remedy = (
        f"Allow it, or run: kafka-topics --create --topic {name} --partitions 1"
        f" --replication-factor {replicas} {configs}"
    )
    return BadInput("the broker does not allow this user to make a topic", where=name, remedy=remedy)


def _check(name: str, topic: Topic, partitions: int, given: Mapping[str, Mapping[str, object]]) -> None:
    if partitions != 1:
        remedy = "Delete the topic, or choose another stream name"
        raise BadInput(f"the topic has {partitions} partitions, and must have 1", where=f"topic {name}", remedy=remedy)
    for setting, rule in topic.rules.items():
        if setting not in given:
            remedy = "Allow this user DescribeConfigs on the topic"
            raise BadInput("the topic's settings cannot be looked at", where=f"topic {name}", remedy=remedy)
        value = str(given[setting]["value"])
        if not rule.holds(value):
            what = f"the topic's {setting} is {value}, and must be {rule.wanted}"
            change = f"--alter --entity-type topics --entity-name {name} --add-config {setting}={rule.wanted}"
            raise BadInput(what, where=f"topic {name}", remedy=f"Run: kafka-configs {change}")
