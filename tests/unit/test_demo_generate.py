"""Demo data: the same for the same seed, of the very size that was asked for, and sound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from operations.demo.generate import Journal, generate
from shared.errors import BadInput


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def test_same_seed_and_size_give_the_same_content(tmp_path: Path) -> None:
    generate(tmp_path / "one.db", 20_000, seed=7)
    generate(tmp_path / "two.db", 20_000, seed=7)
    assert dump(tmp_path / "one.db") == dump(tmp_path / "two.db")


def test_another_seed_gives_another_content(tmp_path: Path) -> None:
    generate(tmp_path / "one.db", 1_000, seed=7)
    generate(tmp_path / "two.db", 1_000, seed=8)
    assert dump(tmp_path / "one.db") != dump(tmp_path / "two.db")


@pytest.mark.parametrize("rows", [1_000, 1_999, 50_000])
def test_there_are_as_many_rows_as_asked_for_and_all_references_hold(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "app.db"
    sizes = generate(path, rows)
    counts = {table: ask(path, f'SELECT count(*) FROM "{table}"')[0][0] for table in sizes}
    assert counts == sizes
    assert sum(sizes.values()) == rows
    assert ask(path, "PRAGMA foreign_key_check") == []
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_the_journal_mode_is_the_one_asked_for(tmp_path: Path, journal: Journal) -> None:
    generate(tmp_path / "app.db", 1_000, journal=journal)
    assert ask(tmp_path / "app.db", "PRAGMA journal_mode") == [(journal,)]


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("precious")
    with pytest.raises(BadInput, match="already"):
        generate(path, 1_000)
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_bad_input_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="could not be written"):
        generate(tmp_path / "none" / "app.db", 1_000)
    assert list(tmp_path.iterdir()) == []


def test_too_few_rows_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too small"):
        generate(tmp_path / "app.db", 999)


def test_the_applications_triggers_and_view_are_there(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    generate(path, 1_000)
    with closing(sqlite3.connect(path)) as db:
        before = db.execute(
            'SELECT count(*), max("updated_at") FROM "audit_log", "leads" WHERE "leads"."id" = 1'
        ).fetchone()
        db.execute("""UPDATE "leads" SET "status" = 'won' WHERE "id" = 1""")
        db.execute("""UPDATE "leads" SET "status" = 'new' WHERE "id" = 1""")
        after = db.execute(
            'SELECT count(*), max("updated_at") FROM "audit_log", "leads" WHERE "leads"."id" = 1'
        ).fetchone()
        assert after[0] > before[0]
        assert after[1] > before[1]
        assert db.execute('SELECT count(*) FROM "open_leads"').fetchone()[0] > 0
