"""Keys that PostgreSQL tells apart and that would be read as one and the same value of SQLite's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from captured import Captured
from shared.errors import Hold

SCRIPT = """
CREATE TABLE word (id STRING PRIMARY KEY, name TEXT);
INSERT INTO word VALUES ('a', 'a text'), (5, 'a number');
"""


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


@pytest.mark.parametrize(
    ("twin", "known"),
    [("5.0", "5"), ("05", "5"), (" 5", "5"), ("'a'", "a"), ("t'61'", "a"), ("5e0", "5")],
)
def test_two_keys_that_would_be_one_in_sqlite_are_never_merged(captured: Captured, twin: str, known: str) -> None:
    with captured.connect() as db:
        db.execute("INSERT INTO word VALUES (%s, 'its twin')", (twin,))
    with pytest.raises(Hold, match=r"table word, key .*, column id.*another key"):
        captured.read()
    captured.restart()
    with captured.connect() as db:
        db.execute("DELETE FROM word WHERE id = %s", (twin,))
        db.execute("UPDATE word SET name = 'still there' WHERE id = %s", (known,))
    captured.read()
    kept = {("a",): ("a", "a text"), (5,): (5, "a number")}
    key = "a" if known == "a" else 5
    assert captured.rows["word"] == {**kept, (key,): (key, "still there")}
