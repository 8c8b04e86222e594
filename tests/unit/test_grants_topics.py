"""Which rights in Kafka the table topics' program gets."""

from __future__ import annotations

import pytest

from operations.grants.kafka import kafka_grants
from operations.grants.postgres import Naming
from shared.settings import load_settings


def _rights(prefix: str) -> list[str]:
    given = {"stream": "shop.eu", "log": "kafka://b:9092", "topics_prefix": prefix}
    script = kafka_grants(load_settings(None, given, needs=("stream",)), Naming(), "admin.properties")
    return [
        line for line in script.splitlines() if "switchback_topics" in line and ("prefixed" in line or "deny" in line)
    ]


def test_the_table_topics_are_given_by_their_prefix() -> None:
    (line,) = _rights("shop-tables")

    assert "--topic shop-tables. --resource-pattern-type prefixed" in line
    assert "--operation Write" in line


@pytest.mark.parametrize("prefix", ["", "shop.eu", "shop"])
def test_where_the_prefix_reaches_the_log_it_may_not_be_written_to(prefix: str) -> None:
    _, spine, control = _rights(prefix)

    assert "--deny-principal User:switchback_topics --operation Write --topic shop.eu.spine" in spine
    assert "--deny-principal User:switchback_topics --operation Write --topic shop.eu.control" in control
