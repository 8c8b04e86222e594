"""Writes dashboards/switchback.json: run it after a change here, and commit both.

Each panel is a title, a unit, and expressions with their legends; what they mean stands in docs/metrics.md.
``$stream`` is the label that the scrape configuration gives (deploy/prometheus/prometheus.yml).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, BigValueTextMode, LegendDisplayMode
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableRefresh

PAGE = Path(__file__).with_name("dashboards") / "switchback.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_HERE = 'stream="$stream"'
_CAPTURE, _SINK = (f'{_HERE}, job="switchback-{name}"' for name in ("capture", "sink"))

_EXPECTED = f"switchback_snapshot_expected_rows{{{_HERE}}}"
_WIDTH = 24
_STATS = [  # title, unit, expression, legend where the legend is what is shown
    ("Primary", "none", f"switchback_primary{{{_CAPTURE}}} == 1", "{{side}}"),
    ("Phase", "none", f"switchback_phase{{{_CAPTURE}}} == 1", "{{phase}}"),
    ("Epoch", "none", f"switchback_epoch{{{_CAPTURE}}}", ""),
    ("Replica behind", "s", f"switchback_oldest_unapplied_age_seconds{{{_HERE}}}", ""),
    ("Pause of a switch now", "s", f"switchback_estimated_pause_seconds{{{_HERE}}}", ""),
    ("Way back for", "s", f"switchback_retention_left_seconds{{{_HERE}}}", ""),
    ("Verified", "s", f"stream:switchback_verification_age_seconds{{{_HERE}}}", ""),
    ("Rows that differ", "none", f"switchback_verification_wrong_rows{{{_HERE}}}", ""),
]
_OVERVIEW = [  # title, unit, expressions with their legends
    ("Lag by stage, seconds", "s", [(f"stream:switchback_lag_seconds:max{{{_HERE}}}", "{{stage}}")]),
    ("Lag by stage, changes", "short", [(f"stream:switchback_lag_changes:max{{{_HERE}}}", "{{stage}}")]),
    ("Lag by stage, bytes", "bytes", [(f"switchback_lag_bytes{{{_HERE}}}", "{{stage}}")]),
    (
        "Oldest commit that the replica lacks",
        "s",
        [(f"switchback_oldest_unapplied_age_seconds{{{_HERE}}}", "age")],
    ),
    (
        "Commit to commit",
        "s",
        [
            (f"stream:switchback_latency_seconds:p50{{{_HERE}}}", "p50"),
            (f"stream:switchback_latency_seconds:p99{{{_HERE}}}", "p99"),
        ],
    ),
    (
        "Changes a second",
        "short",
        [
            (f"switchback_written_changes_per_second{{{_HERE}}}", "written"),
            (f"stream:switchback_captured_changes:rate1m{{{_HERE}}}", "captured"),
            (f"stream:switchback_applied_changes:rate1m{{{_HERE}}}", "applied"),
            (f"switchback_drain_changes_per_second{{{_HERE}}}", "the sink could"),
        ],
    ),
    (
        "A transaction in the replica",
        "s",
        [
            (
                f"histogram_quantile({quantile}, sum by (le) (rate(switchback_apply_seconds_bucket{{{_HERE}}}[5m])))",
                f"p{quantile * 100:.0f}",
            )
            for quantile in (0.5, 0.99)
        ],
    ),
    (
        "Kept in the primary",
        "bytes",
        [
            (f"switchback_changelog_bytes{{{_HERE}}}", "change log"),
            (f"switchback_source_wal_bytes{{{_HERE}}}", "-wal file"),
        ],
    ),
    ("Change log", "short", [(f"switchback_changelog_rows{{{_HERE}}}", "changes")]),
    (
        "Copy by table",
        "percentunit",
        [
            (
                f"switchback_snapshot_copied_rows{{{_HERE}}} / clamp_min({_EXPECTED}, 1)",
                "{{table}}",
            )
        ],
    ),
    ("Copy: time left", "s", [(f"switchback_snapshot_left_seconds{{{_HERE}}}", "left")]),
    (
        "Errors and interruptions, a minute",
        "short",
        [
            (f"sum by (job, class) (rate(switchback_errors_total{{{_HERE}}}[5m])) * 60", "{{job}} {{class}}"),
            (f"sum by (job) (rate(switchback_reconnects_total{{{_HERE}}}[5m])) * 60", "{{job}} went on"),
        ],
    ),
    ("Processor", "percentunit", [(f"rate(process_cpu_seconds_total{{{_HERE}}}[1m])", "{{job}}")]),
    ("Memory", "bytes", [(f"process_resident_memory_bytes{{{_HERE}}}", "{{job}}")]),
]
_CUTOVER = [
    (
        "Pause: estimated, and of the last switch",
        "s",
        [
            (f"switchback_estimated_pause_seconds{{{_HERE}}}", "estimated"),
            (f"switchback_last_pause_seconds{{{_CAPTURE}}}", "last"),
        ],
    ),
    ("Phase", "short", [(f"switchback_phase{{{_CAPTURE}}}", "{{phase}}")]),
    ("Writes refused on the closed side", "short", [(f"switchback_refused_writes{{{_HERE}}}", "{{side}}")]),
    ("Time until one cannot go back", "s", [(f"switchback_retention_left_seconds{{{_HERE}}}", "left")]),
]
_STEPS = f"max by (step) (switchback_switch_step_timestamp_seconds{{{_HERE}}}) * 1000"


def main() -> None:
    """Write the page, or with ``-`` print it."""
    text = json.dumps(build(), indent=2, sort_keys=True) + "\n"
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


def build() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    board = (
        dashboard.Dashboard("Switchback")
        .uid("switchback")
        .tags(["switchback"])
        .refresh("5s")
        .time("now-30m", "now")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_stream_variable())
        .annotation(dashboard.AnnotationQuery().name("Steps").datasource(_SOURCE).enable(enable=True).expr(_STEPS))
        .with_row(dashboard.Row("Overview"))
    )
    for title, unit, expression, legend in _STATS:
        board = board.with_panel(_stat(title, unit, expression, legend))
    for title, unit, targets in _OVERVIEW:
        board = board.with_panel(_graph(title, unit, targets))
    board = board.with_row(dashboard.Row("Cutover"))
    for title, unit, targets in _CUTOVER:
        board = board.with_panel(_graph(title, unit, targets))
    built: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    for annotation in built["annotations"][
        "list"
    ]:  # the library does not know these: when each step was, not its value
        annotation |= {"iconColor": "orange", "titleFormat": "{{step}}", "useValueForTime": "on"}
    return built


def _stream_variable() -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable("stream").label("Stream").datasource(_SOURCE)
    return variable.query("label_values(switchback_group, stream)").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _stat(title: str, unit: str, expression: str, legend: str) -> stat.Panel:
    panel = stat.Panel().title(title).unit(unit).datasource(_SOURCE).span(_WIDTH // 8).height(4)
    panel = panel.graph_mode(BigValueGraphMode.NONE).with_target(_target(expression, legend).ref_id("A").instant())
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.text_mode(BigValueTextMode.NAME) if legend else panel


def _graph(title: str, unit: str, targets: list[tuple[str, str]]) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(show_legend=True)
    panel = timeseries.Panel().title(title).unit(unit).datasource(_SOURCE).span(_WIDTH // 2).height(7).legend(legend)
    for letter, (expression, name) in zip("ABCD", targets, strict=False):
        panel = panel.with_target(_target(expression, name).ref_id(letter))
    return panel


def _target(expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend or "__auto")


if __name__ == "__main__":
    main()
