"""What the compose file comes to, as Compose itself reads it; nothing is started.  deploy/try-compose.sh runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
DAEMONS = ("capture", "sink", "topics")
ENDING = {"secrets", "demo-database", "switchback"}  # they do one thing and end


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    words = ["docker", "compose", "--profile", "*", "config", "--format", "json"]
    if (
        not shutil.which("docker")
        or subprocess.run([*words[:2], "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Compose: its own reading of the file cannot be asked for")
    told = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)["services"]
    return found


def test_every_image_of_others_has_a_version(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values()} - {"switchback:latest"}
    assert images
    assert not [image for image in images if ":" not in image or image.endswith(":latest")]


def test_everything_that_stays_up_says_whether_it_is_well(services: dict[str, Any]) -> None:
    silent = {name for name, service in services.items() if service.get("healthcheck", {}).get("disable")}
    assert silent == ENDING
    assert all("healthcheck" in services[name] for name in ("kafka", "postgres", "prometheus", "grafana"))


def test_capture_and_sink_have_the_same_file_and_may_do_as_little(services: dict[str, Any]) -> None:
    assert services["capture"]["volumes"] == services["sink"]["volumes"]
    for name in DAEMONS:
        service = services[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"


def test_nothing_is_open_to_other_machines_and_no_password_is_written_down(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    named = {name for service in services.values() for name in service.get("environment", {}) if "PASSWORD" in name}
    assert named
    assert all("FILE" in name for name in named)
