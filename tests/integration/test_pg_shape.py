"""A table of PostgreSQL whose rows were changed by DDL while it is the primary: no trigger saw that, capture stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from captured import Captured
from command import QuickCommand
from comparing import assert_equal
from daemons import wait_until
from fix_migration import STOPPED, CutOver
from inprocess import STREAM
from prechecking import BACK, codes, look, settings_of
from replicas import note_shape
from shared.errors import SchemaChanged
from shared.postgres.fence import open_side
from shared.postgres.shape import Shape, check_shape, kept_shape, read_shape

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, note TEXT);
CREATE TABLE n (id INTEGER PRIMARY KEY, number INTEGER);
INSERT INTO t VALUES (1, 'old', 'a'), (2, 'two', 'b'), (3, 'three', 'c');
INSERT INTO n VALUES (1, 10);
"""
AGAIN_IN_THE_MIDDLE = ("ALTER TABLE t DROP COLUMN v", 'ALTER TABLE t ADD COLUMN v text COLLATE "C"')
AGAIN = ("ALTER TABLE t DROP COLUMN note", """ALTER TABLE t ADD COLUMN note text COLLATE "C" DEFAULT 'new'""")
RETYPED = ('ALTER TABLE t ALTER v TYPE text COLLATE "C" USING upper(v)',)
THERE_AND_BACK = (
    "ALTER TABLE t ALTER v TYPE integer USING length(v)",
    'ALTER TABLE t ALTER v TYPE text COLLATE "C"',
)
REWRITTEN = "v text was rewritten by ALTER TABLE"
LOST = [
    (AGAIN, "note text was dropped and added again"),
    (AGAIN_IN_THE_MIDDLE, "v text was dropped and added again"),
    ((*AGAIN, *RETYPED), "v text was rewritten by ALTER TABLE, note text was dropped and added again"),
    ((*AGAIN, "ALTER TABLE t ADD later int"), "later integer came, note text was dropped and added again"),
    (RETYPED, REWRITTEN),
    (THERE_AND_BACK, REWRITTEN),
    ((*RETYPED, "ALTER TABLE t ALTER v SET DEFAULT ''", "ALTER TABLE t ALTER v SET STATISTICS 5"), REWRITTEN),
    ((*RETYPED, "VACUUM FULL t", "VACUUM FULL pg_attribute"), REWRITTEN),
]
TOUCHED = [f"ALTER TABLE t ALTER v {what}" for what in ("SET DEFAULT 'x'", "SET NOT NULL", "SET STATISTICS 9")]
UNTOUCHED = [
    "ALTER TABLE t ALTER v DROP DEFAULT",
    "ALTER TABLE t ALTER v DROP NOT NULL",
    "ALTER TABLE t ALTER v SET STATISTICS -1",
]
HARMLESS = [
    ("VACUUM FULL t",),
    ("CLUSTER t USING t_pkey",),
    ("REINDEX TABLE t",),
    ("ANALYZE t",),
    ("VACUUM (FREEZE) t",),
    ("VACUUM (FREEZE) pg_attribute", "VACUUM (FREEZE) pg_class"),
    ("VACUUM FULL pg_attribute", "VACUUM FULL pg_class"),
    ("CLUSTER pg_attribute USING pg_attribute_relid_attnum_index", "REINDEX TABLE pg_attribute"),
    *((one,) for one in TOUCHED),
    (*TOUCHED, *UNTOUCHED),
    (*TOUCHED, "VACUUM FULL t", "VACUUM FULL pg_attribute"),
    ("VACUUM FULL t", *TOUCHED, "CLUSTER t USING t_pkey", *UNTOUCHED),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (v <> '')", "ALTER TABLE t DROP CONSTRAINT c"),
    ("BEGIN", "CLUSTER t USING t_pkey", "ALTER TABLE t ADD CONSTRAINT c CHECK (v <> '')", *TOUCHED, "COMMIT"),
    ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (v)",),
    ("ALTER TABLE n ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES t",),
    (
        "GRANT SELECT (v) ON t TO public",
        "COMMENT ON COLUMN t.v IS 'words'",
        "ALTER TABLE t ALTER v SET STORAGE external",
    ),
    ('ALTER TABLE t ALTER v TYPE text COLLATE "C"',),
    ("ALTER TABLE t RENAME v TO w", "ALTER TABLE t RENAME w TO v", "VACUUM FULL t"),
    ("ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET LOGGED"),
    ("ALTER TABLE t ADD later float DEFAULT random()", "ALTER TABLE t DROP later"),
    ("TRUNCATE t",),
]


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    note_shape(tmp_path / "app.db")
    yield captured
    captured.close()


def _each(captured: Captured, *statements: str) -> None:
    """Each in a transaction of its own."""
    with captured.connect(autocommit=True) as db:
        for statement in statements:
            db.execute(statement.encode())


def _first(captured: Captured, *statements: str) -> None:
    """As if the tables had been so when PostgreSQL was opened."""
    _each(captured, *statements)
    _opened_anew(captured)


def _opened_anew(captured: Captured) -> None:
    captured.source.close()
    with captured.connect() as db:
        open_side(db, STREAM, captured.schema, "second", 1, {})
    captured.restart_from_log()


def _as_before(captured: Captured) -> None:
    """The kept shape as the version before wrote it."""
    with captured.connect() as db:
        columns = json.dumps(read_shape(db).columns)
        db.execute("UPDATE switchback.side SET shape = %s", (columns,))
    captured.restart()


@pytest.mark.parametrize(
    ("statements", "said"),
    LOST,
    ids=("again", "in the middle", "both", "and more", "retyped", "there and back", "altered", "vacuumed"),
)
def test_capture_and_rollback_stop_where_ddl_changed_rows(
    tmp_path: Path, captured: Captured, statements: tuple[str, ...], said: str
) -> None:
    captured.run("UPDATE t SET v = 'seen' WHERE id = 2")
    assert captured.read()
    _each(captured, *statements)
    with pytest.raises(SchemaChanged, match=rf"{said} \(table t of PostgreSQL\)"):
        captured.source.depth()
    assert captured.hold.hold(2.0) == ""
    with pytest.raises(SchemaChanged, match=said):
        captured.source.high()
    captured.hold.let_go()
    [finding] = [one for one in look("schema", settings_of(tmp_path / "app.db", captured.dsn), BACK) if one.remedy]
    assert codes([finding]) == [("refuse", "schema")]
    assert finding.what.endswith(said)
    assert "write its rows again" in finding.remedy
    assert "Take that back" not in finding.remedy
    with pytest.raises(SchemaChanged, match=said):
        captured.restart()


@pytest.mark.parametrize("statements", HARMLESS, ids="; ".join)
def test_what_leaves_the_values_alone_stops_nothing(captured: Captured, statements: tuple[str, ...]) -> None:
    _each(captured, *statements)
    captured.run("INSERT INTO t VALUES (7, 'new', 'd')")
    assert captured.source.depth()
    assert captured.read()
    captured.restart()
    captured.assert_same()


def test_a_column_that_was_there_with_its_default_before_is_not_taken_for_rewritten(captured: Captured) -> None:
    _first(captured, "ALTER TABLE t DROP COLUMN note", """ALTER TABLE t ADD COLUMN note text COLLATE "C" DEFAULT 'n'""")
    _each(captured, "ALTER TABLE t ADD later float DEFAULT random()", "ALTER TABLE t DROP later", "VACUUM FULL t")
    captured.source.depth()
    _each(captured, *RETYPED)
    with pytest.raises(SchemaChanged, match=REWRITTEN):
        captured.source.depth()


def test_what_was_done_before_postgresql_was_opened_again_counts_no_more(captured: Captured) -> None:
    _first(captured, *AGAIN, *RETYPED)
    captured.source.depth()


def test_a_table_of_numbers_alone_says_nothing_of_a_rewrite_but_of_another_column_it_does(captured: Captured) -> None:
    _each(captured, "ALTER TABLE n ALTER number TYPE bigint USING -number")
    captured.source.depth()
    _each(captured, "ALTER TABLE n DROP number", "ALTER TABLE n ADD number bigint")
    with pytest.raises(SchemaChanged, match="number bigint was dropped and added again"):
        captured.source.depth()


def test_two_columns_that_took_each_others_name_have_another_order(captured: Captured) -> None:
    captured.run(*(f"ALTER TABLE t RENAME {a} TO {b}" for a, b in (("v", "w"), ("note", "v"), ("w", "note"))))
    with pytest.raises(SchemaChanged, match=r"another order.*Take that back"):
        captured.source.depth()


def test_what_the_version_before_kept_goes_on_and_is_compared_by_what_it_has(captured: Captured) -> None:
    _as_before(captured)
    _each(captured, *AGAIN, *RETYPED)
    captured.source.depth()
    captured.restart()
    _each(captured, "ALTER TABLE t ADD later int")
    with pytest.raises(SchemaChanged, match="later integer came"):
        captured.source.depth()


def test_the_version_before_reads_what_this_one_keeps(captured: Captured) -> None:
    with captured.connect() as db:
        row = db.execute("SELECT shape FROM switchback.side").fetchone()
        now, kept = read_shape(db), kept_shape(db, STREAM)
    assert row
    assert json.loads(row[0]).items() >= now.columns.items()
    assert kept == now


@pytest.mark.parametrize(
    ("now", "remedy"),
    [
        (["id integer", "v text", "w text"], "Take that back, or go without a way back: `switchback complete`"),
        (["id integer"], "Take that back, or .*complete`. A column that is added again comes without its values"),
        (["id integer", "w text"], "Take that back, or .*complete`. A column that is added again comes without"),
    ],
)
def test_the_remedy_says_what_adding_a_column_again_does_not_do(now: list[str], remedy: str) -> None:
    with pytest.raises(SchemaChanged, match=remedy) as caught:
        check_shape(Shape({"t": ["id integer", "v text"]}), Shape({"t": now}), ["t"])
    assert ("added again" in caught.value.remedy) == ("v text" not in now)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("ALTER TABLE t DROP COLUMN note", "42703"),
        ("ALTER TABLE t RENAME COLUMN note TO remark", "42703"),
        ("ALTER TABLE t RENAME TO other", "42P01"),
        ("ALTER TABLE t SET SCHEMA elsewhere", "42P01"),
    ],
)
def test_statements_on_a_table_fail_while_a_column_or_its_name_is_gone(
    captured: Captured, change: str, state: str
) -> None:
    captured.run("CREATE SCHEMA elsewhere", change)
    name = {"other": "other", "elsewhere": "elsewhere.t"}.get(change.rsplit(maxsplit=1)[-1], "t")
    with pytest.raises(psycopg.Error, match="capture_") as caught:
        captured.run(f"INSERT INTO {name} (id) VALUES (50)")
    assert caught.value.sqlstate == state
    captured.run("INSERT INTO n VALUES (50, 1)")


def test_the_way_back_is_refused_and_opens_once_rows_are_written_again(
    cut_over: CutOver, postgres_dsn: str, tmp_path: Path
) -> None:
    migration = cut_over(SCRIPT)
    command = QuickCommand(tmp_path, **migration.settings)
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        for statement in (*AGAIN, "INSERT INTO t (id, v) VALUES (7, 'x')"):
            db.execute(statement.encode())
    said = command("rollback", "--unverified")
    assert said.code, said.out
    assert "dropped and added again" in said.out + said.errors
    migration.capture.assert_ended(STOPPED, "dropped and added again")

    with psycopg.connect(postgres_dsn) as db:
        db.execute("UPDATE switchback.side SET shape = '' WHERE stream = %s", (migration.stream,))
    migration.capture.start()
    wait_until("capture works again", lambda: command("status", "--json").json["synced"])
    assert command("verify").code == 1
    with psycopg.connect(postgres_dsn) as db:
        db.execute("UPDATE t SET id = id")
    wait_until("it has come", lambda: command("verify").code == 0)
    with psycopg.connect(postgres_dsn) as db:
        assert kept_shape(db, migration.stream) == read_shape(db)  # watched again
    said = command("rollback")
    assert said.code == 0, said.out + said.errors
    migration.wait_in_step()
    assert_equal(migration.source, postgres_dsn, "t")
