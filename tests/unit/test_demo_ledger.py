"""The ledger of acknowledged writes: what it says after every end that a writer can come to."""

from __future__ import annotations

from pathlib import Path

from operations.demo.ledger import LedgerFile, compare, read_ledger


def write_lines(folder: Path, writer: int, *lines: str, end: str = "\n") -> None:
    text = "\n".join([f"begin {writer} 99 1 0", *lines]) + end
    (folder / f"writer-{writer:03}.log").write_text(text)


def test_each_transaction_is_acknowledged_refused_or_unknown(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path, 1)
    file.attempt("a", "track")
    file.acknowledge("a")
    file.attempt("b", "track")
    file.settle("b", "refused", "deliberate")
    file.attempt("c", "track")
    file.settle("c", "unknown", "lost")
    file.attempt("d", "track")
    ledger = read_ledger(tmp_path)
    assert set(ledger.acknowledged) == {(1, 1)}
    assert set(ledger.refused) == {(1, 2)}
    assert set(ledger.unknown) == {(1, 3), (1, 4)}


def test_only_refusals_that_were_not_wanted_are_troubles(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "refused 1 a deliberate 1", "attempt 2 b x 2", "refused 2 b BUSY 3")
    assert read_ledger(tmp_path).troubles == {"BUSY": 1}


def test_a_restarted_writer_goes_on_with_the_next_number(tmp_path: Path) -> None:
    first = LedgerFile(tmp_path, 1)
    first.attempt("a", "track")
    assert LedgerFile(tmp_path, 1).attempt("b", "track") == 2


def test_a_new_ledger_begins_after_what_the_database_holds(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path, 1, after=41)
    assert file.attempt("a", "track") == 42
    assert compare(read_ledger(tmp_path), [(1, 41, "of an earlier ledger")]).ok


def test_a_torn_last_line_counts_as_not_written_and_is_cut_at_the_next_start(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a", end="")
    assert set(read_ledger(tmp_path).unknown) == {(1, 1)}
    LedgerFile(tmp_path, 1).attempt("b", "x")
    assert set(read_ledger(tmp_path).unknown) == {(1, 1), (1, 2)}


def test_the_pause_is_the_longest_gap_over_all_writers(tmp_path: Path) -> None:
    write_lines(
        tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a 1000000", "attempt 2 b x 0", "acknowledged 2 b 90000000"
    )
    write_lines(tmp_path, 2, "attempt 1 c x 0", "acknowledged 1 c 40000000")
    ledger = read_ledger(tmp_path)
    assert ledger.longest_pause == 50.0
    assert [pause.milliseconds for pause in ledger.pauses(until=30_000_000)] == [39.0]


def test_latencies_are_those_of_acknowledged_writes(tmp_path: Path) -> None:
    write_lines(
        tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a 2000000", "attempt 2 b x 0", "refused 2 b BUSY 5000000000"
    )
    ledger = read_ledger(tmp_path)
    assert (ledger.latency(0.5), ledger.latency(0.99)) == (2.0, 2.0)


def test_an_empty_ledger_has_no_pause(tmp_path: Path) -> None:
    assert read_ledger(tmp_path).longest_pause == 0.0


def test_an_acknowledged_write_that_is_absent_is_lost(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a 1")
    assert [write.key for write in compare(read_ledger(tmp_path), []).lost] == [(1, 1)]


def test_a_refused_write_that_is_there_is_a_ghost(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "refused 1 a deliberate 1")
    assert compare(read_ledger(tmp_path), [(1, 1, "a")]).ghosts == ((1, 1, "a"),)


def test_a_write_that_was_never_attempted_is_a_ghost(tmp_path: Path) -> None:
    write_lines(tmp_path, 1)
    rows = [(1, 5, "x"), (2, 1, "of no known writer")]
    assert compare(read_ledger(tmp_path), rows).ghosts == tuple(rows)


def test_another_token_under_an_acknowledged_number_is_a_lost_write_and_a_ghost(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a 1")
    found = compare(read_ledger(tmp_path), [(1, 1, "b")])
    assert (len(found.lost), len(found.ghosts)) == (1, 1)


def test_a_write_that_is_there_twice_is_doubled(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0", "acknowledged 1 a 1")
    assert compare(read_ledger(tmp_path), [(1, 1, "a"), (1, 1, "a")]).doubled == ((1, 1),)


def test_a_write_of_unknown_outcome_may_be_there_or_not(tmp_path: Path) -> None:
    write_lines(tmp_path, 1, "attempt 1 a x 0")
    ledger = read_ledger(tmp_path)
    assert compare(ledger, []).ok
    assert compare(ledger, [(1, 1, "a")]).ok
    assert compare(ledger, [(1, 1, "a")]).unknown_there == 1
