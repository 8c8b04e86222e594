"""What the application's own DDL does while capture is installed, as SQLite 3.40 behaves (docs/decisions/0002)."""

from __future__ import annotations

import pytest

from fix_sqlite import Capture
from replay import Captured
from shared.errors import SchemaChanged
from shared.sqlite.catalog import fingerprint, read_schema, schema_version
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.installation import check_installed, install, overtaken, uninstall

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT);"


def wrong(source: Captured) -> list[str]:
    return check_installed(source.ours, source.schema)


def test_nothing_is_wrong_after_an_install(capture: Capture) -> None:
    assert wrong(capture(T)) == []


def test_dropping_a_column_fails_while_capture_names_it_and_works_after_taking_out(capture: Capture) -> None:
    source = capture(T)
    assert "_switchback_" in source.fails("ALTER TABLE t DROP COLUMN w")
    uninstall(source.ours)
    source.run("ALTER TABLE t DROP COLUMN w")


def test_an_added_column_is_not_captured_and_is_found(capture: Capture) -> None:
    source = capture(T)
    source.run("ALTER TABLE t ADD COLUMN x DEFAULT 5", "INSERT INTO t VALUES (1, 'a', 'b', 'c')")
    assert wrong(source) == ["table t has other columns or another key"]
    assert high(source.ours) == 1  # the application's statement did not fail


def test_a_renamed_column_goes_on_being_captured_and_is_found(capture: Capture) -> None:
    source = capture(T + "CREATE UNIQUE INDEX i ON t (lower(v)) WHERE v <> '';")
    source.run("ALTER TABLE t RENAME COLUMN v TO named", "INSERT INTO t VALUES (1, 'a', 'b')")
    source.run("REPLACE INTO t VALUES (2, 'A', 'b')", "UPDATE t SET named = 'c'", "DELETE FROM t")
    assert wrong(source) == ["table t has other columns or another key"]
    logged = source.app.execute("SELECT op, c1, c2 FROM _switchback_log").fetchall()
    assert logged == [("c", 1, "a"), ("d", 1, "a"), ("c", 2, "A"), ("u", 2, "c"), ("d", 2, "c")]


def test_a_renamed_table_goes_on_being_captured_and_is_found(capture: Capture) -> None:
    source = capture(T)
    source.run("ALTER TABLE t RENAME TO renamed", "INSERT INTO renamed VALUES (1, 'a', 'b')")
    assert wrong(source) == ["table t is gone"]
    assert high(source.ours) == 1


def test_a_dropped_table_takes_its_triggers_along_and_is_found(capture: Capture) -> None:
    source = capture(T + "CREATE TABLE other (a);")
    source.run("INSERT INTO t VALUES (1, 'a', 'b')", "DROP TABLE t")
    assert wrong(source) == ["table t is gone"]
    assert high(source.ours) == 1  # no deletes


REBUILD = (
    "BEGIN",
    "CREATE TABLE new_t (id INTEGER PRIMARY KEY, v TEXT, w TEXT)",
    "INSERT INTO new_t SELECT * FROM t",
    "DROP TABLE t",
    "ALTER TABLE new_t RENAME TO t",
    "COMMIT",
)


@pytest.mark.parametrize("legacy", ["OFF", "ON"])
def test_a_rebuilt_table_has_lost_its_triggers_without_a_word_and_is_found(capture: Capture, legacy: str) -> None:
    source = capture(T)
    before = schema_version(source.ours)
    source.run(f"PRAGMA legacy_alter_table = {legacy}", *REBUILD, "INSERT INTO t VALUES (1, 'a', 'b')")
    assert high(source.ours) == 0
    assert schema_version(source.ours) != before
    assert wrong(source) == ["table t has lost its triggers, or has outdated ones"]
    install(source.ours, source.schema, "s")
    assert wrong(source) == []


def test_renaming_first_and_rebuilding_after_is_found_too(capture: Capture) -> None:
    source = capture(T)
    source.run("ALTER TABLE t RENAME TO old_t", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT)")
    source.run("INSERT INTO t SELECT * FROM old_t", "DROP TABLE old_t")
    assert wrong(source) == ["table t has lost its triggers, or has outdated ones"]


def test_a_new_unique_index_is_not_watched_yet_and_is_found(capture: Capture) -> None:
    source = capture(T)
    source.run("CREATE UNIQUE INDEX i ON t (v)")
    assert wrong(source) == ["table t has lost its triggers, or has outdated ones"]
    schema = read_schema(source.ours)
    install(source.ours, schema, "s")
    assert check_installed(source.ours, schema) == []


def test_a_dropped_unique_index_does_no_harm(capture: Capture) -> None:
    source = capture(T + "CREATE UNIQUE INDEX i ON t (v);")
    source.run("DROP INDEX i", "INSERT INTO t VALUES (1, 'a', 'b')", "REPLACE INTO t VALUES (2, 'a', 'b')")
    assert [entry[:2] for entry in source.news()] == [("c", 1), ("c", 2)]


def test_other_indexes_views_and_tables_are_nothing_to_worry_about(capture: Capture) -> None:
    source = capture(T)
    source.run("CREATE INDEX i ON t (v)", "CREATE VIEW v AS SELECT 1", "CREATE TABLE other (a)", "DROP TABLE other")
    assert wrong(source) == []


def test_a_new_child_table_with_a_cascade_calls_for_other_triggers_without_a_hole(capture: Capture) -> None:
    source = capture(T)
    source.run("CREATE TABLE child (t REFERENCES t ON DELETE CASCADE)")
    assert wrong(source) == []
    assert overtaken(source.ours, source.schema) == ["t"]
    install(source.ours, source.schema, "s")
    assert (wrong(source), overtaken(source.ours, source.schema)) == ([], [])


def test_a_vacuum_moves_the_schema_version_and_nothing_else(capture: Capture) -> None:
    source = capture(T + "CREATE TABLE loose (a)")
    source.run("INSERT INTO loose VALUES (1), (2)", "DELETE FROM loose WHERE a = 1")
    version, print_before = schema_version(source.ours), fingerprint(source.ours)
    source.run("VACUUM")
    assert source.app.execute("SELECT rowid FROM loose").fetchall() == [(1,)]  # it was 2: the key has changed
    assert schema_version(source.ours) != version
    assert fingerprint(source.ours) == print_before
    assert wrong(source) == []


def _save(source: Captured) -> list[tuple[str, str]]:
    """As tools do it that switch triggers off: the names and texts of all there are."""
    return source.app.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 't' AND type = 'trigger' ORDER BY rowid"
    ).fetchall()


def _drop(source: Captured, saved: list[tuple[str, str]]) -> None:
    source.run(*(f'DROP TRIGGER "{name}"' for name, _ in saved))


REMADE = "table t had its triggers taken away and made again, and writes may have come in between"


@pytest.mark.parametrize("last", [1, 2, 3, 100])
def test_triggers_that_were_taken_away_around_a_write_and_made_again_are_found(capture: Capture, last: int) -> None:
    source = capture(T)
    saved = _save(source)
    source.run("BEGIN")
    _drop(source, saved[-last:])
    source.run("INSERT INTO t VALUES (1, 'a', 'b')", "UPDATE t SET v = 'c'", "DELETE FROM t")
    source.run(*(sql for _, sql in saved[-last:]), "COMMIT")
    assert _save(source) == saved
    assert wrong(source) == [REMADE]
    install(source.ours, source.schema, "s")  # puts right what comes, not what was missed
    assert wrong(source) == []


@pytest.mark.parametrize("legacy", ["OFF", "ON"])
@pytest.mark.parametrize("vacuum", [(), ("VACUUM",)], ids=["", "vacuumed"])
def test_a_rebuilt_table_whose_triggers_were_made_again_is_found(
    capture: Capture, legacy: str, vacuum: tuple[str, ...]
) -> None:
    source = capture(T)
    saved = _save(source)
    source.run(*vacuum, f"PRAGMA legacy_alter_table = {legacy}", *REBUILD, *(sql for _, sql in saved), *vacuum)
    assert wrong(source) == [REMADE]


def test_a_table_renamed_away_and_back_keeps_its_triggers(capture: Capture) -> None:
    source = capture(T)
    source.run("ALTER TABLE t RENAME TO old_t", "INSERT INTO old_t VALUES (1, 'a', 'b')")
    source.run("ALTER TABLE old_t RENAME TO t")
    assert high(source.ours) == 1
    assert wrong(source) == []


def test_the_view_that_tells_of_triggers_made_again_is_missed(capture: Capture) -> None:
    source = capture(T)
    source.run(*(f'DROP VIEW "{name}"' for (name,) in source.app.execute(VIEWS).fetchall()))
    assert wrong(source) == ["the view _switchback_youngest is gone, and triggers may have been gone with it"]
    install(source.ours, source.schema, "s")
    assert wrong(source) == []


VIEWS = "SELECT name FROM sqlite_master WHERE type = 'view'"


def test_an_installation_made_before_there_was_that_view_goes_on(capture: Capture) -> None:
    source = capture(T)
    source.run("DROP VIEW _switchback_youngest", "DELETE FROM _switchback_state WHERE key = 'witness'")
    assert wrong(source) == []
    saved = _save(source)
    install(source.ours, source.schema, "s")
    _drop(source, saved)
    source.run(*(sql for _, sql in saved))
    assert wrong(source) == [REMADE]


def test_what_an_application_does_to_its_own_triggers_views_and_statistics_is_no_trouble(capture: Capture) -> None:
    source = capture(T + "CREATE VIEW v AS SELECT 1; CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;")
    source.run("DROP VIEW v", "DROP TRIGGER tr", "CREATE VIEW v AS SELECT 2", "VACUUM", "ANALYZE", "REINDEX")
    source.run("CREATE TRIGGER tr BEFORE INSERT ON t BEGIN SELECT 1; END", "VACUUM", "DROP VIEW v", "VACUUM")
    source.run("PRAGMA auto_vacuum = INCREMENTAL", "VACUUM", "PRAGMA incremental_vacuum")
    source.run("CREATE TABLE other (a)", "CREATE INDEX i ON other (a)", "VACUUM", "DROP TABLE other", "VACUUM")
    assert wrong(source) == []
    source.run("INSERT INTO t VALUES (1, 'a', 'b')")
    assert high(source.ours) == 1


def test_ddl_that_is_rolled_back_leaves_all_as_it_was(capture: Capture) -> None:
    source = capture(T)
    source.run("BEGIN", "DROP TABLE t", "ROLLBACK")
    assert wrong(source) == []


def test_a_table_in_a_new_shape_has_a_number_of_its_own(capture: Capture) -> None:
    source = capture(T)
    source.run("ALTER TABLE t ADD COLUMN x")
    schema = read_schema(source.ours)
    install(source.ours, schema, "s")
    source.run("INSERT INTO t VALUES (1, 'a', 'b', 'c')")
    assert tuple(read_changes(source.ours, schema, 0, 1, 1)[0].values) == (1, "a", "b", "c")
    with pytest.raises(SchemaChanged):
        read_changes(source.ours, source.schema, 0, 1, 1)
    assert source.app.execute("SELECT count(*) FROM _switchback_tables").fetchone() == (2,)


def test_capture_that_was_taken_out_is_missed(capture: Capture) -> None:
    source = capture(T)
    uninstall(source.ours)
    assert wrong(source)[0] == "table _switchback_log is missing"
