"""Reading CREATE statements: names, strings and comments in every spelling."""

from __future__ import annotations

import pytest

from shared.sqlite import ddl


@pytest.mark.parametrize(
    ("sql", "expressions", "where"),
    [
        ("CREATE INDEX i ON t (a)", ["a"], ""),
        ("CREATE INDEX i ON t (a, b DESC)", ["a", "b"], ""),
        ('CREATE INDEX i ON t (lower(a) COLLATE NOCASE ASC, b COLLATE "x y")', ["lower ( a )", "b"], ""),
        ("CREATE INDEX \"i(1\" ON [t (x)] (coalesce(a, ','))", ["coalesce ( a , ',' )"], ""),
        ("CREATE UNIQUE INDEX i ON t (a /* , ) */, -- b, )\n c) WHERE a > 1 AND (b IS NULL)", ["a", "c"],
         "a > 1 AND ( b IS NULL )"),
        ("create index i on t(a||')'||\"b\"\"c\") where x = 'it''s'", ["a || ')' || \"b\"\"c\""], "x = 'it''s'"),
        ("CREATE INDEX i ON t (json_extract(d, '$.a'), d ->> 'b')", ["json_extract ( d , '$.a' )", "d ->> 'b'"], ""),
    ],
)  # fmt: skip
def test_an_index_is_split_into_its_terms_and_its_where(sql: str, expressions: list[str], where: str) -> None:
    assert ddl.index_expressions(sql) == expressions
    assert ddl.index_where(sql) == where


def test_collations_are_found_among_other_constraints() -> None:
    sql = """CREATE TABLE t (a TEXT COLLATE NOCASE, "b c" TEXT NOT NULL DEFAULT 'COLLATE x' COLLATE "Rtrim" UNIQUE,
        c TEXT CHECK (c COLLATE nocase <> 'x'), d AS (a COLLATE binary), e TEXT COLLATE binary COLLATE nocase,
        collate TEXT, UNIQUE (a COLLATE rtrim))"""
    assert ddl.column_collations(sql) == {"a": "NOCASE", "b c": "RTRIM", "e": "NOCASE"}


def test_deferred_references_are_told_in_their_order() -> None:
    sql = """CREATE TABLE t (a REFERENCES p, b REFERENCES p(x) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        c REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED, d REFERENCES p DEFERRABLE,
        FOREIGN KEY (a, b) REFERENCES q (a, b) DEFERRABLE INITIALLY DEFERRED)"""
    assert ddl.deferred_references(sql) == [False, True, False, False, True]


def test_an_expression_is_made_fit_for_another_table_name() -> None:
    sql = 't.a > 1 AND "T".[b] = "text" AND `c` = \'x\' AND other.d'
    expected = "a > 1 AND \"b\" = 'text' AND \"c\" = 'x' AND other . d"
    assert ddl.unambiguous(sql, "t", ["a", "b", "c"]) == expected


@pytest.mark.parametrize(
    ("sql", "columns"),
    [("lower(NAME)", ["name"]), ("'name'", []), ('"name" || [other]', ["name", "other"]), ("names", [])],
)
def test_columns_mentioned_are_found_in_any_spelling(sql: str, columns: list[str]) -> None:
    assert ddl.mentioned(sql, ["name", "other"]) == columns


def test_only_ascii_letters_fold() -> None:
    assert (ddl.fold("ÄbC"), ddl.fold("ABC")) == ("Äbc", "abc")


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("SELECT RAISE(IGNORE)", True),
        ("select raise ( fail , 'x')", True),
        ("SELECT RAISE(ABORT, 'RAISE(IGNORE)')", False),
        ("SELECT 1 -- RAISE(IGNORE)", False),
    ],
)
def test_a_raise_that_keeps_the_change_is_found(sql: str, kept: bool) -> None:  # noqa: FBT001
    assert ddl.raises(sql, "IGNORE", "FAIL") is kept


@pytest.mark.parametrize(
    ("sql", "after"),
    [
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", True),
        ("CREATE TRIGGER x INSERT ON t BEGIN SELECT 1; END", False),
        ('CREATE TRIGGER "after" BEFORE DELETE ON t BEGIN SELECT 1; END', False),
    ],
)
def test_a_trigger_is_told_to_be_an_after_trigger(sql: str, after: bool) -> None:  # noqa: FBT001
    assert ddl.is_after(sql) is after


def test_the_tables_that_a_trigger_writes_to() -> None:
    body = "INSERT OR IGNORE INTO a VALUES (1); UPDATE b SET c = 1; DELETE FROM d;"
    sql = f"CREATE TRIGGER x BEFORE INSERT ON t BEGIN {body} END"
    assert [ddl.writes_to(sql, name) for name in ("t", "a", "b", "d")] == [False, True, True, False]


def test_the_module_of_a_virtual_table() -> None:
    assert ddl.virtual_module("CREATE VIRTUAL TABLE x USING FTS5(a, b)") == "fts5"
    assert ddl.virtual_module("CREATE TABLE virtual (using)") == ""
