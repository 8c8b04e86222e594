"""What ``complete`` says before it asks."""

from __future__ import annotations

from operations.cutover.completing import what_becomes_of_log
from shared.settings import load_settings


def test_an_embedded_log_is_removed_and_a_brokers_topics_are_left() -> None:
    given = {"source": "app.db", "stream": "app"}
    assert "embedded log, are removed" in what_becomes_of_log(load_settings(None, given, needs=()))
    said = what_becomes_of_log(load_settings(None, {**given, "log": "kafka://b:9092"}, needs=()))
    assert "app.spine, app.control, app.progress" in said
    assert "stay" in said
    assert "embedded" not in said
