"""Each test of the contract runs on both backends, on a log of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.log.contract import LogBackend
from spines import EmbeddedPlace, KafkaPlace, LogPlace


@pytest.fixture(params=["embedded", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogPlace]:
    """An empty log's place."""
    stream = f"s-{uuid.uuid4().hex[:12]}"
    place: LogPlace
    if request.param == "embedded":
        place = EmbeddedPlace(tmp_path / "log.db", stream)
    else:
        place = KafkaPlace(request.getfixturevalue("kafka_bootstrap"), stream)
    yield place
    place.close()


@pytest.fixture
def log(place: LogPlace) -> LogBackend:
    """The log, opened by one program."""
    return place.open()


@pytest.fixture
def other(place: LogPlace) -> LogBackend:
    """The same log, opened by another program."""
    return place.open()


@pytest.fixture
def stream(place: LogPlace) -> str:
    return place.stream
