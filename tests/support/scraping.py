"""What a daemon answers over HTTP: its metrics and its health."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from daemons import Migration
from shared.presence import read_presence


def port_of(migration: Migration, program: str) -> int:
    note = read_presence(Path(migration.source).parent / ".switchback", migration.stream, program)
    assert note is not None
    assert note.port is not None
    return note.port


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def get_json(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, body = get(port, path)
    return status, json.loads(body)


def scrape(port: int) -> list[Metric]:
    return list(text_string_to_metric_families(get(port, "/metrics")[1]))


def value(port: int, name: str, **labels: str) -> float | None:
    """One sample, None where there is none with these labels."""
    for family in scrape(port):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None
