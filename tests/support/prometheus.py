"""Prometheus from the operating system, scraping a migration's daemons every second with the repository's rules."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemons import Migration, wait_until
from missing import find_free_ports, give_up
from scraping import port_of

KIT = Path(__file__).parents[2] / "deploy" / "prometheus"


def find_tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        give_up(f"no {name}", "install Debian's package prometheus")
    return path


class Prometheus:
    """A running server; asks by its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, path: str, **words: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def series(self, expression: str) -> list[Any]:
        """What the expression gives over the last minutes, empty where it has no data."""
        now = self.ask("query", query="time()")["result"][0]
        found = self.ask("query_range", query=expression, start=str(now - 300), end=str(now), step="1")["result"]
        assert isinstance(found, list)
        return found

    def names(self) -> set[str]:
        return set(self.ask("label/__name__/values"))


@contextmanager
def scraping(migration: Migration, folder: Path) -> Iterator[Prometheus]:
    """Prometheus on the repository's own configuration, but for targets and intervals."""
    settings = (KIT / "prometheus.yml").read_text()
    for given, ours in (
        ("capture:9464", f"127.0.0.1:{port_of(migration, 'capture')}"),
        ("sink:9465", f"127.0.0.1:{port_of(migration, 'sink')}"),
        ("scrape_interval: 5s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("rules/*.yml", f"{KIT}/rules/*.yml"),
    ):
        assert given in settings
        settings = settings.replace(given, ours)
    (folder / "prometheus.yml").write_text(settings)
    port = find_free_ports(1)
    command = [find_tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.txt").open("w") as said:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=said, stderr=said)
    try:
        prometheus = Prometheus(port)
        wait_until("Prometheus answers", prometheus.ready)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
