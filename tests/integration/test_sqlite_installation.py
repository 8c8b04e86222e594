"""Installing and taking out: one transaction each, repairing, and leaving nothing behind."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from fix_sqlite import Capture
from random_sql import ODD_ZOO, STRICT_ZOO, ZOO
from replay import Captured
from shared.errors import BadInput, SchemaChanged
from shared.sqlite.catalog import read_schema, schema_version
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.connection import connect
from shared.sqlite.installation import check_installed, install, uninstall
from shared.sqlite.state import read_state, write_state
from shared.sqlite.triggers import trigger_sql
from shared.tables import Schema

STORED = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name, tbl_name"
T = "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE);"


def stored(db: sqlite3.Connection) -> list[tuple[str, str, str, str | None]]:
    return db.execute(STORED).fetchall()


@pytest.mark.parametrize("ddl", [T, ZOO + STRICT_ZOO + ODD_ZOO], ids=["one table", "the zoo"])
def test_taking_out_leaves_the_stored_schema_byte_for_byte(tmp_path: Path, ddl: str) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as app:
        app.executescript(ddl)
    before = stored(app)
    ours = connect(path)
    made = install(ours, read_schema(ours), "s").created
    app.execute("INSERT INTO " + ("t VALUES (1, 'a')" if ddl == T else "person (name) VALUES ('a')"))
    app.commit()
    assert stored(app) != before
    assert sorted(uninstall(ours)) == sorted(made)
    assert stored(app) == before
    app.close()
    ours.close()


def test_statistics_that_the_application_gathered_meanwhile_lose_our_tables(capture: Capture) -> None:
    source = capture(T)
    source.run("INSERT INTO t VALUES (1, 'a')", "ANALYZE")
    uninstall(source.ours)
    assert source.app.execute("SELECT DISTINCT tbl FROM sqlite_stat1").fetchall() == [("t",)]


def test_taking_out_twice_does_nothing(capture: Capture) -> None:
    source = capture(T)
    uninstall(source.ours)
    assert uninstall(source.ours) == []


def test_installing_again_changes_nothing(capture: Capture) -> None:
    source = capture(ZOO)
    version = schema_version(source.ours)
    again = install(source.ours, source.schema, "s")
    assert (again.created, again.dropped, again.first) == ((), (), False)
    assert again.incarnation == source.installed.incarnation
    assert schema_version(source.ours) == version


def test_an_install_after_taking_out_is_another_incarnation(capture: Capture) -> None:
    source = capture(T)
    uninstall(source.ours)
    assert install(source.ours, source.schema, "s").incarnation != source.installed.incarnation


def test_a_dropped_trigger_is_made_again(capture: Capture) -> None:
    source = capture(T)
    name = source.app.execute("SELECT name FROM sqlite_master WHERE name LIKE '%after_insert'").fetchone()[0]
    source.run(f'DROP TRIGGER "{name}"')
    assert check_installed(source.ours, source.schema) == ["table t has lost its triggers, or has outdated ones"]
    assert install(source.ours, source.schema, "s").created == (name,)
    assert check_installed(source.ours, source.schema) == []


def test_a_table_that_is_no_longer_wanted_loses_its_triggers(capture: Capture) -> None:
    source = capture(T + "CREATE TABLE other (a)")
    smaller = read_schema(source.ours, tables=["other"])
    assert len(install(source.ours, smaller, "s").dropped) == 5
    source.run("INSERT INTO t VALUES (1, 'a')")
    assert high(source.ours) == 0


def test_a_wider_table_makes_the_log_wider_and_keeps_what_is_in_it(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    source.run("INSERT INTO t VALUES (1)", "CREATE TABLE wide (a, b, c, d, e)")
    schema = read_schema(source.ours)
    install(source.ours, schema, "s")
    source.run("INSERT INTO wide VALUES (1, 2, 3, 4, 5)")
    assert [change.values for change in read_changes(source.ours, schema, 0, 2, 10)] == [(1,), (1, 1, 2, 3, 4, 5)]


def test_another_stream_is_refused(capture: Capture) -> None:
    source = capture(T)
    with pytest.raises(BadInput, match=r"captured for stream s, not other\. Give --stream s"):
        install(source.ours, source.schema, "other")


def test_another_format_is_refused(capture: Capture) -> None:
    source = capture(T)
    write_state(source.ours, format="0")
    with pytest.raises(BadInput, match="another version"):
        install(source.ours, source.schema, "s")


def test_a_table_changed_since_it_was_looked_at_is_refused_and_nothing_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    app = sqlite3.connect(path, isolation_level=None)
    app.executescript(T)
    ours = connect(path)
    schema = read_schema(ours)
    app.execute("ALTER TABLE t ADD COLUMN late")
    before = stored(app)
    with pytest.raises(SchemaChanged, match="changed"):
        install(ours, schema, "s")
    assert stored(app) == before
    app.close()
    ours.close()


def test_a_table_that_is_too_wide_is_refused(tmp_path: Path) -> None:
    names = ", ".join(f"c{number}" for number in range(1997))
    with pytest.raises(BadInput, match="at most 1996"):
        Captured(tmp_path / "s.db", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {names})")


def test_an_error_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    app = sqlite3.connect(path, isolation_level=None)
    app.executescript(T + "CREATE TABLE _switchback_pending_tags (a)")
    before = stored(app)
    ours = connect(path)
    with pytest.raises(sqlite3.OperationalError, match="already"):
        install(ours, read_schema(ours), "s")
    assert stored(app) == before
    app.close()
    ours.close()


def test_a_row_older_than_a_failing_virtual_column_can_still_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    app = sqlite3.connect(path, isolation_level=None)
    app.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, d TEXT); INSERT INTO t VALUES (1, 'no json');")
    app.execute("ALTER TABLE t ADD COLUMN g AS (json_extract(d, '$.a'))")
    ours = connect(path)
    schema = read_schema(ours)
    install(ours, schema, "s")
    app.execute("DELETE FROM t")
    assert [tuple(change.values) for change in read_changes(ours, schema, 0, 1, 10)] == [(1, "no json", None)]
    app.close()
    ours.close()


def test_functions_and_collations_of_the_application_go_on_working(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    app = sqlite3.connect(path, isolation_level=None)
    app.create_function("slug", 1, lambda text: text and text.lower(), deterministic=True)
    app.create_collation("backwards", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
    app.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT, w TEXT COLLATE backwards UNIQUE);"
        "CREATE UNIQUE INDEX i ON t (slug(u));"
    )
    ours = connect(path)
    schema = read_schema(ours)
    install(ours, schema, "s")
    app.execute("INSERT INTO t VALUES (1, 'A', 'x')")
    app.execute("REPLACE INTO t VALUES (2, 'a', 'y')")
    assert [(change.op, change.values[0]) for change in read_changes(ours, schema, 0, 3, 10)] == [
        ("c", 1), ("d", 1), ("c", 2),
    ]  # fmt: skip
    app.close()
    ours.close()


def test_state_is_kept_as_texts_by_key(capture: Capture) -> None:
    source = capture(T)
    write_state(source.ours, lease="7", checkpoint="x")
    write_state(source.ours, lease="8")
    state = read_state(source.ours)
    assert (state["lease"], state["checkpoint"], state["stream"], state["format"]) == ("8", "x", "s", "1")
    uninstall(source.ours)
    assert read_state(source.ours) == {}


FORBIDDEN = (
    r"\b(OR\s+(REPLACE|IGNORE|FAIL|ABORT|ROLLBACK)|ON\s+CONFLICT|REPLACE\s+INTO|RETURNING|WITH|OVER|json|subsec"
    r"|pragma_|unixepoch|iif)\b|->"
)


def test_triggers_use_nothing_that_an_old_sqlite_lacks(capture: Capture) -> None:
    source = capture(ZOO + ODD_ZOO)
    texts = [
        sql for number, table in enumerate(source.schema.tables) for sql in trigger_sql(table, number, cascades=True)
    ]
    assert [text for text in texts if re.search(FORBIDDEN, text, re.IGNORECASE)] == []


def steps(trigger: str) -> list[str]:
    """The statements of a trigger, WHEN among them, with parameters in the place of NEW and OLD."""
    head, body = trigger.removesuffix("\nEND").split("BEGIN\n", 1)
    when = ["SELECT " + head.split(" WHEN ", 1)[1]] if " WHEN " in head else []
    statements = [*when, *(line.strip().rstrip(";") for line in body.splitlines())]
    return [re.sub(r'(NEW|OLD)\."(?:[^"]|"")+"', "?1", statement) for statement in statements]


def test_triggers_find_rows_by_index_and_never_scan_a_table(capture: Capture) -> None:
    source = capture(ZOO + ODD_ZOO)
    statements = [
        step
        for number, table in enumerate(source.schema.tables)
        for sql in trigger_sql(table, number, cascades=True)
        for step in steps(sql)
    ]
    plans = {
        step: [row[3] for row in source.ours.execute("EXPLAIN QUERY PLAN " + step, (1,) if "?1" in step else ())]
        for step in statements
    }
    assert any("SEARCH r" in line for plan in plans.values() for line in plan)
    assert [
        (step, plan) for step, plan in plans.items() if any(re.match("SCAN (r|_switch)", line) for line in plan)
    ] == []


def test_a_schema_of_no_tables_installs_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as app:
        app.execute("CREATE VIEW v AS SELECT 1")
    ours = connect(path)
    install(ours, Schema(()), "s")
    assert high(ours) == 0
    app.close()
    ours.close()
