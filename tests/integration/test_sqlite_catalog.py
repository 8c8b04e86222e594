"""The source's tables as SQLite really has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from random_sql import LATE_TRIGGERS, ODD_ZOO, STRICT_ZOO, ZOO
from shared.errors import BadInput
from shared.sqlite.catalog import findings, fingerprint, null_keys, read_schema, schema_version
from shared.sqlite.connection import connect
from shared.sqlite.description import affinity_of
from shared.sqlite.installation import install
from shared.tables import ROWID, ForeignKey, Table


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def table(db: sqlite3.Connection, ddl: str) -> Table:
    db.executescript(ddl)
    return read_schema(db, ["t"]).tables[0]


TYPES = [
    "INT", "INTEGER", "BIGINT", "POINT", "CHARINT", "TEXT", "VARCHAR(10)", "CLOB", "", "BLOB", "REAL",
    "DOUBLE PRECISION", "FLOATING", "NUMERIC", "DECIMAL(10,5)", "BOOLEAN", "DATETIME", "STRING", "ANY", "JSON",
]  # fmt: skip


@pytest.mark.parametrize("declared", TYPES)
def test_affinities_are_those_that_sqlite_acts_by(db: sqlite3.Connection, declared: str) -> None:
    db.execute(f"CREATE TABLE t (v {declared})")
    probes = ["1", "1.0", "'1'", "'1.5'", "1.5"]
    for probe in probes:
        db.execute(f"INSERT INTO t VALUES ({probe})")
    types = tuple(row[0] for row in db.execute("SELECT typeof(v) FROM t"))
    expected = {
        "INTEGER": ("integer", "integer", "integer", "real", "real"),
        "NUMERIC": ("integer", "integer", "integer", "real", "real"),
        "REAL": ("real",) * 5,
        "TEXT": ("text",) * 5,
        "BLOB": ("integer", "real", "text", "text", "real"),
    }
    assert types == expected[affinity_of(declared)]


def test_any_has_no_affinity_in_a_strict_table_only() -> None:
    assert (affinity_of("ANY", strict=True), affinity_of("ANY")) == ("BLOB", "NUMERIC")


IDENTITIES = [
    ("CREATE TABLE t (id INTEGER PRIMARY KEY)", "id"),
    ("CREATE TABLE t (id integer primary key autoincrement)", "id"),
    ("CREATE TABLE t (id INTEGER, PRIMARY KEY (id))", "id"),
    ("CREATE TABLE t (id INTEGER, PRIMARY KEY (id DESC))", "id"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY DESC)", None),
    ("CREATE TABLE t (id INT PRIMARY KEY)", None),
    ("CREATE TABLE t (id BIGINT PRIMARY KEY)", None),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY) WITHOUT ROWID", None),
    ("CREATE TABLE t (id INTEGER, b INTEGER, PRIMARY KEY (id, b))", None),
]


@pytest.mark.parametrize(("ddl", "identity"), IDENTITIES)
def test_the_rowids_other_name_is_found_as_sqlite_behaves(
    db: sqlite3.Connection, ddl: str, identity: str | None
) -> None:
    found = table(db, ddl)
    db.execute(f"INSERT INTO t VALUES ({', '.join('7' for _ in found.columns)})")
    behaves = "WITHOUT" not in ddl and db.execute("SELECT rowid FROM t").fetchone()[0] == 7
    assert found.identity == identity
    assert behaves == (identity is not None)


KEYS = [
    ("CREATE TABLE t (a, b, PRIMARY KEY (b, a))", ("b", "a"), "primary"),
    ("CREATE TABLE t (a NOT NULL, b NOT NULL, c NOT NULL, UNIQUE (a, b), UNIQUE (c))", ("c",), "unique"),
    ("CREATE TABLE t (a UNIQUE, b NOT NULL)", (ROWID,), "rowid"),
    ("CREATE TABLE t (a NOT NULL); CREATE UNIQUE INDEX i ON t (a) WHERE a > 1", (ROWID,), "rowid"),
    ("CREATE TABLE t (a NOT NULL); CREATE UNIQUE INDEX i ON t (a + 1)", (ROWID,), "rowid"),
    ("CREATE TABLE t (a TEXT NOT NULL); CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE)", ("a",), "unique"),
]


@pytest.mark.parametrize(("ddl", "key", "kind"), KEYS)
def test_the_key_is_what_tells_rows_apart(db: sqlite3.Connection, ddl: str, key: tuple[str, ...], kind: str) -> None:
    found = table(db, ddl)
    assert (found.key, found.key_kind) == (key, kind)


@pytest.mark.parametrize(
    ("columns", "name"), [("a", "rowid"), ("RowID", "_rowid_"), ("rowid, oid", "_rowid_"), ("_rowid_, rowid", "oid")]
)
def test_the_rowid_is_read_by_a_word_that_no_column_has(db: sqlite3.Connection, columns: str, name: str) -> None:
    assert table(db, f"CREATE TABLE t ({columns})").rowid_name == name


def test_a_table_that_hides_its_only_key_is_refused(db: sqlite3.Connection) -> None:
    with pytest.raises(BadInput, match="hide its rowid"):
        table(db, "CREATE TABLE t (rowid, _rowid_, oid)")


def test_columns_are_told_with_all_that_matters(db: sqlite3.Connection) -> None:
    found = table(
        db,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE,"
        " g INT AS (id) STORED, v AS (id))",
    )
    facts = [(c.name, c.declared, c.not_null, c.default, c.collation, c.generated) for c in found.columns]
    assert facts == [
        ("id", "INTEGER", True, None, "BINARY", ""),
        ("n", "TEXT", True, "'x'", "NOCASE", ""),
        ("g", "INT", False, None, "BINARY", "stored"),
        ("v", "", False, None, "BINARY", "virtual"),
    ]


def test_collations_agree_with_those_of_an_index_on_the_column(db: sqlite3.Connection) -> None:
    db.executescript(ZOO + STRICT_ZOO + ODD_ZOO)
    for found in read_schema(db).tables:
        for place, column in enumerate(found.columns):
            if column.name == ROWID:
                continue
            db.execute("SAVEPOINT probe")
            quoted = ['"' + text.replace('"', '""') + '"' for text in (found.name, column.name)]
            db.execute(f"CREATE INDEX probe ON {quoted[0]} ({quoted[1]})")
            assert db.execute("PRAGMA index_xinfo(probe)").fetchone()[4] == column.collation, (found.name, place)
            db.execute("ROLLBACK TO probe")
            db.execute("RELEASE probe")


def test_foreign_keys_are_told_in_full(db: sqlite3.Connection) -> None:
    ddl = """CREATE TABLE Parent (x TEXT, y INT, PRIMARY KEY (x, y));
    CREATE TABLE t (a, b, c REFERENCES nowhere, d INTEGER PRIMARY KEY REFERENCES t DEFERRABLE INITIALLY DEFERRED,
      FOREIGN KEY (a, b) REFERENCES parent ON DELETE CASCADE ON UPDATE SET NULL)"""
    db.executescript(ddl)
    found = read_schema(db).table("t")
    assert found.foreign_keys == (
        ForeignKey(("d",), "t", ("d",), deferred=True),
        ForeignKey(("a", "b"), "Parent", ("x", "y"), on_delete="CASCADE", on_update="SET NULL"),
    )


def test_references_to_tables_left_out_are_left_out(db: sqlite3.Connection) -> None:
    db.executescript("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (a REFERENCES p)")
    assert read_schema(db, exclude=["p"]).table("t").foreign_keys == ()


def test_indexes_are_told_with_expressions_where_and_collation(db: sqlite3.Connection) -> None:
    found = table(
        db, "CREATE TABLE t (a TEXT, b); CREATE UNIQUE INDEX i ON t (lower(a), b COLLATE NOCASE DESC) WHERE b > 1"
    )
    (index,) = found.indexes
    parts = [(part.column, part.expression, part.collation, part.descending) for part in index.parts]
    assert parts == [(None, "lower ( a )", "BINARY", False), ("b", "", "NOCASE", True)]
    assert (index.unique, index.where, index.origin) == (True, "b > 1", "c")


def test_views_virtual_tables_and_their_shadows_and_ours_are_left_out(db: sqlite3.Connection) -> None:
    db.executescript("CREATE TABLE t (a); CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5 (a)")
    db.executescript("CREATE TABLE seq (id INTEGER PRIMARY KEY AUTOINCREMENT); ANALYZE")
    install(db, read_schema(db), "s")
    assert [found.name for found in read_schema(db).tables] == ["t", "seq"]


def test_shadows_of_an_unknown_module_are_left_out(db: sqlite3.Connection) -> None:
    db.executescript(
        "CREATE TABLE t (a); CREATE TABLE vec_chunks (a); CREATE TABLE vector (a); PRAGMA writable_schema = ON"
    )
    sql = "CREATE VIRTUAL TABLE vec USING vec0 (a)"
    db.execute("INSERT INTO sqlite_master VALUES ('table', 'vec', 'vec', 0, ?)", (sql,))
    db.execute("PRAGMA schema_version = 100")
    db.execute("PRAGMA writable_schema = RESET")
    assert [found.name for found in read_schema(db).tables] == ["t", "vector"]
    assert [(finding.code, finding.where) for finding in findings(db) if finding.level == "warn"][:1] == [
        ("virtual-table", "table vec")
    ]


def test_null_keys_are_counted_where_sqlite_allows_them(db: sqlite3.Connection) -> None:
    found = table(db, "CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY (a, b))")
    db.execute("INSERT INTO t VALUES (NULL, 'x'), (NULL, 'x'), ('y', NULL), ('y', 'z')")
    assert null_keys(db, found) == 3


def test_the_fingerprint_is_the_applications_tables_and_indexes_alone(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (a)")
    before, version = fingerprint(db), schema_version(db)
    install(db, read_schema(db), "s")
    db.executescript(
        "CREATE VIEW v AS SELECT 1; CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END; ANALYZE; VACUUM"
    )
    assert fingerprint(db) == before
    assert schema_version(db) > version
    db.execute("CREATE INDEX i ON t (a)")
    assert fingerprint(db) != before


KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, a)"
FOUND = [
    ("CREATE VIRTUAL TABLE t USING fts5 (a)", "warn", "virtual-table"),
    ("CREATE TABLE t (a)", "warn", "rowid-key"),
    ("CREATE TABLE t (rowid, _rowid_, oid)", "refuse", "no-key"),
    ("CREATE TABLE t (a TEXT PRIMARY KEY COLLATE NOCASE)", "note", "inexact-key"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, a REFERENCES nowhere)", "warn", "no-parent"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, a AS (id))", "note", "generated"),
    (f"{KEYED}; CREATE UNIQUE INDEX i ON t (json_extract(a, '$.id'))", "warn", "expression-index"),
    ("CREATE VIEW v AS SELECT 1", "note", "views"),
    ("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (id INTEGER PRIMARY KEY)", "note", "encoding"),
    (
        """CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE);
        CREATE TRIGGER x BEFORE INSERT ON t BEGIN INSERT INTO t VALUES (NULL, 1); END""",
        "warn",
        "before-trigger",
    ),
    (
        "CREATE TABLE t (id INTEGER PRIMARY KEY);CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT RAISE(IGNORE); END",
        "note",
        "raise",
    ),
    (
        """CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES t ON DELETE CASCADE);
        CREATE TRIGGER x AFTER DELETE ON t BEGIN SELECT RAISE(FAIL, 'no'); END""",
        "warn",
        "raise-cascade",
    ),
    (f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(f'c{n}' for n in range(1996))})", "refuse", "too-wide"),
]


@pytest.mark.parametrize(("ddl", "level", "code"), FOUND, ids=[code for *_, code in FOUND])
def test_what_should_be_known_is_found(db: sqlite3.Connection, ddl: str, level: str, code: str) -> None:
    db.executescript(ddl)
    assert [(finding.level, finding.code) for finding in findings(db)] == [(level, code)]


@pytest.mark.parametrize(
    "index",
    ["UNIQUE INDEX i ON t (lower(a))", "INDEX i ON t (abs(a))", "UNIQUE INDEX i ON t (abs(a)) WHERE a > 0"],
)
def test_an_index_whose_expression_keeps_no_row_out_is_not_found(db: sqlite3.Connection, index: str) -> None:
    db.executescript(f"{KEYED}; CREATE {index}")
    assert findings(db) == []


def test_a_key_in_a_collation_of_the_applications_is_found(db: sqlite3.Connection) -> None:
    db.create_collation("mine", lambda a, b: (a > b) - (a < b))
    db.executescript("CREATE TABLE t (a TEXT COLLATE mine PRIMARY KEY NOT NULL) WITHOUT ROWID")
    assert [(finding.level, finding.code) for finding in findings(db)] == [("refuse", "collation")]


def test_a_column_that_only_the_application_can_compute_is_found(tmp_path: Path) -> None:
    app = sqlite3.connect(tmp_path / "s.db")
    app.create_function("secret", 1, lambda value: value, deterministic=True)
    app.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, a AS (secret(id)))")
    app.close()
    ours = connect(tmp_path / "s.db")
    assert ("refuse", "unreadable") in [(finding.level, finding.code) for finding in findings(ours)]
    ours.close()


def test_the_zoo_has_nothing_to_refuse(db: sqlite3.Connection) -> None:
    db.executescript(ZOO + STRICT_ZOO + ODD_ZOO + LATE_TRIGGERS)
    assert [finding for finding in findings(db) if finding.level == "refuse"] == []
