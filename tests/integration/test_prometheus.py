"""The repository's rules and dashboard on a real Prometheus that scrapes real daemons."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command import QuickCommand
from daemons import Migration, wait_until
from documented import described
from fix_postgres import PostgresServer, new_database
from prometheus import KIT, Prometheus, find_tool, scraping
from traffic import Traffic, make_database

GRAFANA = KIT.parent / "grafana"
ALERTS_PAGE = KIT.parents[1] / "docs" / "alerts.md"
TESTS = sorted((KIT / "tests").glob("*.yml"))
SINCE_THE_SWITCH = (
    'switchback_loop_timestamp_seconds{job="switchback-capture"}'
    " > on (instance) switchback_last_switch_timestamp_seconds + 2 and on (instance) switchback_epoch == 1"
)
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def _promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find_tool("promtool"), *words], capture_output=True, text=True, check=False)


def _dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "switchback.json").read_text())
    return found


def _expressions(dashboard: dict[str, Any]) -> list[str]:
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return targets + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]


@pytest.fixture(scope="module")
def scraped(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus that has seen a copy, changes, a verification and a cutover of the stream ``app``."""
    folder = tmp_path_factory.mktemp("scraped")
    with new_database(postgres_server.dsn) as dsn:
        source = make_database(folder / "app.db", bulk=500)
        migration = Migration(source, dsn, folder=folder, prune_seconds="0.2", capture_port="0", sink_port="0")
        try:
            yield from _watch(migration, folder)
        finally:
            migration.kill()


def _watch(migration: Migration, folder: Path) -> Iterator[Prometheus]:
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    with scraping(migration, folder) as prometheus:
        with Traffic(migration.source, writers=1) as traffic:
            for stage in ("captured", "applied"):
                rate = f"stream:switchback_{stage}_changes:rate1m > 0"
                wait_until("the rate is known", functools.partial(prometheus.series, rate))
            traffic.end()
        assert command("verify").code == 0
        assert command("cutover").code == 0
        wait_until("a round of house-keeping since the switch is seen", lambda: prometheus.series(SINCE_THE_SWITCH))
        yield prometheus
    for daemon in (migration.capture, migration.sink):
        assert daemon.running, daemon.output[-3000:]


def test_every_expression_of_dashboard_and_rules_has_data(scraped: Prometheus) -> None:
    asked = [expression.replace("$stream", "app") for expression in _expressions(_dashboard())]
    recorded = [rule["query"] for rule in _rules(scraped) if rule["type"] == "recording"]
    assert len(asked) > 20
    assert recorded
    for expression in asked + recorded:  # some have data one scrape later than others
        wait_until(f"there are data for {expression}", functools.partial(scraped.series, expression), 30)


def test_prometheus_evaluates_every_rule_and_no_alert_is_heard_in_a_healthy_migration(scraped: Prometheus) -> None:
    assert [(rule["name"], rule["lastError"]) for rule in _rules(scraped) if rule.get("lastError")] == []
    for _ in range(60):  # one may be pending for a moment: a look falls into the switch itself
        if not (alerts := _raised(scraped)):
            break
        time.sleep(0.5)
    assert alerts == []
    assert scraped.series("ALERTS{alertstate='firing'}") == []


def _raised(scraped: Prometheus) -> list[Any]:
    return [alert for rule in _rules(scraped) for alert in rule.get("alerts", [])]


def _rules(scraped: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in scraped.ask("rules")["groups"] for rule in group["rules"]]


def test_rules_and_configuration_are_valid() -> None:
    checked = _promtool("check", "config", KIT / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_is_heard_where_it_must_be_and_keeps_still_elsewhere() -> None:
    tested = _promtool("test", "rules", *TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _alerts() -> list[str]:
    return (KIT / "rules" / "alerts.yml").read_text().split("- alert: ")[1:]


def test_each_alert_names_a_section_that_says_what_to_do() -> None:
    sections = {
        line[3:].lower().replace(" ", "-") for line in ALERTS_PAGE.read_text().splitlines() if line[:3] == "## "
    }
    named = {match for alert in _alerts() for match in re.findall(r"runbook: docs/alerts\.md#(\S+)", alert)}
    assert len(_alerts()) == len(named)
    assert named == sections


def test_each_alert_has_a_test_that_hears_it_and_one_in_which_it_keeps_still() -> None:
    tests = "".join(path.read_text() for path in TESTS)
    for alert in _alerts():
        name = alert.split("\n")[0]
        assert f"- {{eval_time: 50m, alertname: {name}}}" in tests, name
        assert len(re.findall(rf"alertname: {name}\s+exp_alerts|alertname: {name}, exp_alerts", tests)) >= 1, name


def test_rules_and_dashboard_ask_only_for_metrics_that_are_documented() -> None:
    known = {row.name for row in described()} | {"up"}
    asked = " ".join([*(path.read_text() for path in (KIT / "rules").glob("*.yml")), *_expressions(_dashboard())])
    names = {SUFFIXES.sub("", name) for name in re.findall(r"(?<![:\w])(?:switchback|process)_\w+", asked)}
    assert names - known == set()


def test_the_dashboard_is_what_its_script_writes() -> None:
    written = subprocess.run([sys.executable, GRAFANA / "generate.py", "-"], capture_output=True, text=True, check=True)
    assert json.loads(written.stdout) == _dashboard()
