"""What a stream's facts amount to, in one word and one sentence."""

from __future__ import annotations

from msgspec.structs import replace

from operations.cutover.summary import UNKNOWN, SwitchStatus
from operations.phase import (
    DaemonStatus,
    LedgerStatus,
    LogStatus,
    SourceStatus,
    Status,
    TableStatus,
    summarise,
    warn,
)

SOURCE = SourceStatus("app.db", installed=True, incarnation="i", seq=10)
LEDGER = LedgerStatus(exists=True, incarnation="i", lease=1, number=5, seq=10, copied=True)
STATUS = Status("app", SOURCE, LogStatus(), LEDGER, [], [], lag_changes=0, lag_seconds=0.0)


def test_every_change_applied_is_in_step() -> None:
    assert summarise(STATUS) == ("in step", "every change is applied")


def test_a_few_changes_of_this_moment_are_still_in_step_and_old_ones_are_not() -> None:
    assert summarise(replace(STATUS, lag_changes=12, lag_seconds=0.004)) == ("in step", "12 changes, 4 ms behind")
    assert summarise(replace(STATUS, lag_changes=1_200, lag_seconds=300.0)) == ("behind", "1,200 changes, 5 min behind")


def test_a_snapshot_under_way_says_how_far_it_is() -> None:
    tables = [TableStatus("a", 1_000, 1_000, done=True), TableStatus("b", 500, 3_000, done=False)]
    status = replace(STATUS, ledger=replace(LEDGER, copied=False), tables=tables)
    assert summarise(status) == ("copying", "1,500 of about 4,000 rows copied")


def test_all_rows_there_but_not_the_end_is_finishing() -> None:
    tables = [TableStatus("a", 1_000, 1_000, done=True)]
    status = replace(STATUS, ledger=replace(LEDGER, copied=False), tables=tables)
    assert summarise(status)[0] == "finishing"


def test_nothing_anywhere_is_not_installed() -> None:
    status = replace(STATUS, source=SourceStatus("app.db"), ledger=LedgerStatus(), lag_changes=None)
    assert summarise(status) == ("not installed", "nothing has begun")


def test_a_daemon_that_ended_with_an_error_stops_the_stream_and_says_why() -> None:
    sink = DaemonStatus("sink", "stopped", reason="PostgreSQL refuses the row", exit_code=3)
    assert summarise(replace(STATUS, daemons=[sink])) == (
        "stopped",
        "sink ended: PostgreSQL refuses the row (every change is applied)",
    )


def test_a_killed_daemon_stops_the_stream() -> None:
    capture = DaemonStatus("capture", "killed", reason="it was killed")
    assert summarise(replace(STATUS, daemons=[capture]))[0] == "stopped"


def test_daemons_that_ended_as_asked_stop_the_stream_without_alarm() -> None:
    daemons = [DaemonStatus(name, "stopped", exit_code=0) for name in ("capture", "sink")]
    phase, summary = summarise(replace(STATUS, daemons=daemons))
    assert phase == "stopped"
    assert summary.startswith("capture and sink ended as asked")


def test_a_waiting_daemon_is_named_with_what_it_waits_for() -> None:
    sink = DaemonStatus("sink", "waiting", reason="the server is away")
    assert summarise(replace(STATUS, daemons=[sink])) == (
        "in step",
        "every change is applied; sink waits: the server is away",
    )


def test_a_sink_on_another_machine_tells_through_the_log_why_it_stopped() -> None:
    assert summarise(replace(STATUS, trouble="a row does not fit"))[1].startswith("sink ended: a row does not fit")


def test_a_ledger_that_cannot_be_read_is_unknown_and_never_in_step() -> None:
    status = replace(STATUS, ledger=LedgerStatus(error="no route"), lag_changes=None)
    assert summarise(status) == ("unknown", "the ledger cannot be read: no route")
    assert not status.synced


def test_a_primary_that_is_not_known_is_unknown_and_never_in_step() -> None:
    switch = SwitchStatus(primary=UNKNOWN, waiting="the databases do not say it", remedy="look")
    assert summarise(replace(STATUS, switch=switch, lag_changes=None)) == (
        "unknown",
        "who is the primary is not known: the databases do not say it; look",
    )


def test_two_closed_databases_are_closed_also_where_no_attempt_can_be_read() -> None:
    switch = SwitchStatus(primary=UNKNOWN, closed=True, waiting="neither takes writes", remedy="resume")
    assert summarise(replace(STATUS, switch=switch)) == ("closed", "neither takes writes; resume")


def test_a_lag_that_cannot_be_known_is_unknown_and_never_in_step() -> None:
    status = replace(STATUS, source=SourceStatus("app.db", error="no such file"), lag_changes=None)
    assert summarise(status)[0] == "unknown"
    assert not status.synced


def test_a_replica_of_another_source_is_stopped() -> None:
    status = replace(STATUS, ledger=replace(LEDGER, incarnation="other"))
    assert summarise(status)[0] == "stopped"


def test_synced_needs_the_whole_snapshot_and_no_lag() -> None:
    assert STATUS.synced
    assert not replace(STATUS, lag_changes=1).synced
    assert not replace(STATUS, ledger=replace(LEDGER, copied=False)).synced


def test_what_fills_the_source_disk_is_warned_of() -> None:
    source = replace(SOURCE, changelog_rows=101, wal_bytes=2_000_001)
    assert len(warn(source, 100, 2)) == 2
    assert warn(source, 101, 3) == []
