"""The embedded log's file: a full disk, wrong files, and space given back."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import BadInput, Retry, SpineBroken, Stop
from shared.groups import Position
from shared.log.embedded import EmbeddedLog
from shared.log.spine import Reader
from spines import append, append_pieces, claimed, read_texts

STREAM = "s"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def sizes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def test_a_full_disk_is_waited_for_and_the_log_stays_whole(path: Path) -> None:
    log, other = EmbeddedLog(path), EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    append(writer, "a")
    anchor = writer.flush()
    pages = log.spine._db.execute("PRAGMA page_count").fetchone()[0]
    log.spine._db.execute(f"PRAGMA max_page_count = {pages + 50}")

    append_pieces(writer, [b"x" * 800_000])
    with pytest.raises(Retry, match="full"):
        writer.flush()
    with pytest.raises(Stop):
        append(writer, "b")
    assert read_texts(other, STREAM) == [["a"]]

    log.spine._db.execute("PRAGMA max_page_count = 1000000")
    writer.claim(2, anchor)
    append(writer, "b")
    writer.flush()
    assert read_texts(other, STREAM) == [["a"], ["b"]]


@pytest.mark.parametrize("where", ["missing/log.db", "file/log.db", "folder"])
def test_a_path_that_cannot_be_a_file_is_bad_input(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()

    with pytest.raises(BadInput, match="folder that can be written to"):
        EmbeddedLog(tmp_path / where)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_bad_input(path: Path) -> None:
    path.parent.chmod(0o500)

    with pytest.raises(BadInput, match="folder that can be written to"):
        EmbeddedLog(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_may_not_be_written_to_is_bad_input(path: Path) -> None:
    EmbeddedLog(path).close()
    path.chmod(0o400)

    with pytest.raises(BadInput, match="folder that can be written to"):
        EmbeddedLog(path)


def test_another_database_is_not_taken_for_a_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE lead (id INTEGER PRIMARY KEY)")

    with pytest.raises(BadInput, match="some other database"):
        EmbeddedLog(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("lead",)]


def test_programs_that_start_at_the_same_moment_share_a_new_log(tmp_path: Path) -> None:
    """One of them finds the file empty, and has yet to look inside when the other has made its tables."""
    together = threading.Barrier(4)

    def start(path: Path) -> None:
        together.wait()
        EmbeddedLog(path).close()

    with ThreadPoolExecutor(4) as programs:
        for attempt in range(100):
            for program in [programs.submit(start, tmp_path / f"{attempt}.log") for _ in range(4)]:
                program.result()


def test_a_file_that_is_no_database_is_not_taken_for_a_log(path: Path) -> None:
    path.write_bytes(b"plain text, and enough of it" * 100)

    with pytest.raises(BadInput, match="no log"):
        EmbeddedLog(path)


def test_a_damaged_file_stops(path: Path) -> None:
    log = EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    for _ in range(40):
        append_pieces(writer, [b"x" * 50_000])
    writer.flush()
    log.close()
    data = bytearray(path.read_bytes())
    data[8192:200_000] = os.urandom(200_000 - 8192)
    path.write_bytes(data)

    with pytest.raises(Stop, match="damaged"):
        Reader(EmbeddedLog(path).spine, STREAM, Position()).read(1)


def test_discarding_gives_space_back(path: Path) -> None:
    log = EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    for _ in range(120):
        append_pieces(writer, [b"x" * 800_000])
    last = writer.flush()
    full = path.stat().st_size

    log.spine.discard(last.offset)

    assert full > 90_000_000
    assert path.stat().st_size < 45_000_000
    assert log.spine.bounds() == (last.offset, last.offset + 1)


def test_a_log_that_is_discarded_as_it_is_read_does_not_grow(path: Path) -> None:
    log, other = EmbeddedLog(path), EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    reader = Reader(other.spine, STREAM, Position())
    largest = 0
    for _ in range(60):
        append_pieces(writer, [b"x" * 800_000] * 4)
        position = writer.flush()
        while not (events := reader.read(5)) or not events[-1].header.last:  # type: ignore[union-attr]
            pass
        other.spine.discard(position.offset)
        largest = max(largest, sizes(path))

    assert largest < 30_000_000


def test_what_was_discarded_unread_is_missed(path: Path) -> None:
    log = EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    append(writer, "a")
    first = writer.flush()
    append(writer, "b")
    append(writer, "c")
    log.spine.discard(writer.flush().offset)

    with pytest.raises(SpineBroken):
        Reader(log.spine, STREAM, first)


def test_a_reader_that_stopped_in_the_middle_of_a_fetch_still_sees_what_is_new(path: Path) -> None:
    """A cursor left open would hold its view of the file, and later fetches with it."""
    log, other = EmbeddedLog(path), EmbeddedLog(path)
    writer = claimed(log, STREAM, 1)
    for _ in range(20):
        append_pieces(writer, [b"x" * 800_000])
    writer.flush()
    assert len(other.spine.fetch(0, 5)) < 20  # ended by size, with rows left in the cursor
    assert not other.spine._db.in_transaction

    append(writer, "new")
    writer.flush()

    assert len(other.spine.fetch(21, 0)) == 1


def test_a_log_locked_by_another_program_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    EmbeddedLog(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("shared.log.embedded_file._BUSY_SECONDS", 0.1)
        with pytest.raises(Retry, match="locked"):
            EmbeddedLog(path)
