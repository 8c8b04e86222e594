"""The topics: made as they must be, and refused where they are not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import kafka
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from shared.errors import BadInput
from shared.log.kafka import KafkaLog, try_kafka
from shared.log.kafka.clients import Settings, make_consumer, make_producer

GOOD = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "1048588"}


@pytest.fixture
def admin(kafka_bootstrap: str) -> Iterator[Any]:
    admin = kafka.KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    yield admin
    admin.close()


@pytest.fixture
def stream() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def make(admin: Any, name: str, configs: dict[str, str], partitions: int = 1) -> None:
    admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})


def settings(admin: Any, name: str) -> dict[str, str]:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    return {key: value["value"] for key, value in found["topic"][name].items()}


def test_topics_are_made_to_keep_what_is_needed(admin: Any, kafka_bootstrap: str, stream: str) -> None:
    KafkaLog(kafka_bootstrap, stream, retention_ms=1_000_000).close()

    spine, control, progress = (settings(admin, f"{stream}.{part}") for part in ("spine", "control", "progress"))
    assert {len(topic["partitions"]) for topic in admin.describe_topics([f"{stream}.spine", f"{stream}.control"])} == {
        1
    }
    assert (spine["cleanup.policy"], spine["retention.ms"], spine["retention.bytes"]) == ("delete", "1000000", "-1")
    assert (control["cleanup.policy"], control["retention.ms"]) == ("delete", "-1")
    assert progress["cleanup.policy"] == "compact"
    assert spine["message.timestamp.type"] == "LogAppendTime"
    assert spine["unclean.leader.election.enable"] == "false"


def test_topics_that_are_there_and_right_are_used(admin: Any, kafka_bootstrap: str, stream: str) -> None:
    make(admin, f"{stream}.spine", {**GOOD, "segment.bytes": "20000000"})

    KafkaLog(kafka_bootstrap, stream).close()

    assert settings(admin, f"{stream}.spine")["segment.bytes"] == "20000000"


@pytest.mark.parametrize("make_client", [make_producer, make_consumer])
def test_no_question_makes_a_topic_anew_that_somebody_deleted(
    kafka_bootstrap: str, make_client: Callable[[Settings], Any]
) -> None:
    """A broker that may make topics by itself would make one with settings that lose records."""
    with closing(make_client({"bootstrap_servers": [kafka_bootstrap]})) as client:
        network = getattr(client, "_client", None) or client._sender._client
        assert not network.cluster.metadata_request().allow_auto_topic_creation


@pytest.mark.parametrize(
    ("part", "setting", "value", "wanted"),
    [
        ("spine", "cleanup.policy", "compact", "delete"),
        ("spine", "cleanup.policy", "compact,delete", "delete"),
        ("spine", "retention.ms", "1000", "604800000"),
        ("spine", "retention.bytes", "1000000", "-1"),
        ("spine", "max.message.bytes", "500000", "1048588"),
        ("control", "retention.ms", "604800000", "-1"),
        ("progress", "cleanup.policy", "delete", "compact"),
    ],
)
def test_a_topic_that_would_lose_records_is_refused(
    admin: Any, kafka_bootstrap: str, stream: str, part: str, setting: str, value: str, wanted: str
) -> None:
    make(admin, f"{stream}.{part}", {**GOOD, setting: value})

    with pytest.raises(BadInput) as refused:
        KafkaLog(kafka_bootstrap, stream)

    assert refused.value.what == f"the topic's {setting} is {value}, and must be {wanted}"
    assert refused.value.where == f"topic {stream}.{part}"
    assert f"kafka-configs --alter --entity-type topics --entity-name {stream}.{part}" in refused.value.remedy
    assert f"--add-config {setting}={wanted}" in refused.value.remedy


def test_a_topic_with_more_partitions_is_refused(admin: Any, kafka_bootstrap: str, stream: str) -> None:
    make(admin, f"{stream}.spine", GOOD, partitions=2)

    with pytest.raises(BadInput, match="2 partitions"):
        KafkaLog(kafka_bootstrap, stream)


def test_a_longer_retention_than_the_topics_is_asked_for(kafka_bootstrap: str, stream: str) -> None:
    KafkaLog(kafka_bootstrap, stream, retention_ms=1_000_000).close()
    KafkaLog(kafka_bootstrap, stream, retention_ms=500_000).close()

    with pytest.raises(BadInput, match=r"retention\.ms is 1000000, and must be 2000000"):
        KafkaLog(kafka_bootstrap, stream, retention_ms=2_000_000)


def test_more_replicas_than_brokers_are_refused(kafka_bootstrap: str, stream: str) -> None:
    with pytest.raises(BadInput, match=r"(?i)replication"):
        KafkaLog(kafka_bootstrap, stream, replication=99)


def test_what_would_be_made_is_told_and_not_made(admin: Any, kafka_bootstrap: str, stream: str) -> None:
    def told() -> list[str]:
        return try_kafka(kafka_bootstrap, stream, None, retention_ms=1_000_000, replication=0)

    assert told() == told() == [f"{stream}.{part}" for part in ("spine", "control", "progress")]
    make(admin, f"{stream}.spine", GOOD)
    assert told() == [f"{stream}.control", f"{stream}.progress"]
    KafkaLog(kafka_bootstrap, stream).close()
    assert told() == []


def test_what_could_not_be_made_or_used_is_refused_without_making_it(
    admin: Any, kafka_bootstrap: str, stream: str
) -> None:
    with pytest.raises(BadInput, match=r"(?i)replication"):
        try_kafka(kafka_bootstrap, stream, None, retention_ms=1_000_000, replication=99)
    make(admin, f"{stream}.control", {**GOOD, "retention.ms": "1000"})
    with pytest.raises(BadInput, match=r"retention\.ms is 1000, and must be -1 \(topic .*control\)"):
        try_kafka(kafka_bootstrap, stream, None, retention_ms=1_000_000, replication=0)
    assert f"{stream}.spine" not in admin.list_topics()


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 201, "a/b"])
def test_a_stream_that_no_topic_can_be_named_after_is_refused(kafka_bootstrap: str, name: str) -> None:
    with pytest.raises(BadInput):
        KafkaLog(kafka_bootstrap, name)
