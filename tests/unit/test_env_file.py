"""The application's env file: our lines are set, everything else stays, and nobody ever sees half of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from operations.telling.addresses import postgres_address, sqlite_address
from operations.telling.announcing import check_telling, tell_env_file
from operations.telling.env_file import check_env_file, read_env_file, write_env_file
from shared.errors import BadInput
from shared.settings import Settings, load_settings

OTHERS = b"# ours\r\nexport A='x y'\nB=\"1\" # note\n\xff\xfe=odd\n\n  C = 3\nNOT_DATABASE_URL=keep\nTAIL"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def _settings(tmp_path: Path, **given: object) -> Settings:
    base = {"source": str(tmp_path / "app.db"), "target": "postgresql://joe:s3cret@h:5433/app?sslmode=require"}
    return load_settings(None, {**base, **given})


def test_a_new_file_is_for_its_owner_alone(path: Path) -> None:
    write_env_file(path, {"DATABASE_URL": "sqlite:////a.db", "SWITCHBACK_EPOCH": "0"})
    assert path.read_bytes() == b"DATABASE_URL=sqlite:////a.db\nSWITCHBACK_EPOCH=0\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_ours_stays_byte_for_byte(path: Path) -> None:
    path.write_bytes(OTHERS)
    write_env_file(path, {"DATABASE_URL": "x"})
    assert path.read_bytes() == OTHERS + b"\r\nDATABASE_URL=x\r\n"


def test_a_line_keeps_its_place_its_export_and_its_ending(path: Path) -> None:
    path.write_bytes(b"A=1\r\nexport DATABASE_URL = 'old'  # see wiki\r\nB=2\r\n")
    write_env_file(path, {"DATABASE_URL": "new", "N": "1"})
    assert path.read_bytes() == b"A=1\r\nexport DATABASE_URL = new\r\nB=2\r\nN=1\r\n"


def test_a_name_that_stands_there_twice_is_set_twice(path: Path) -> None:
    path.write_text("DATABASE_URL=a\nDATABASE_URL=b\n")
    write_env_file(path, {"DATABASE_URL": "c"})
    assert path.read_text() == "DATABASE_URL=c\nDATABASE_URL=c\n"


def test_an_existing_file_keeps_its_mode(path: Path) -> None:
    path.write_text("")
    path.chmod(0o640)
    write_env_file(path, {"A": "1"})
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner(path: Path) -> None:
    path.write_text("")
    os.chown(path, 12345, 54321)
    write_env_file(path, {"A": "1"})
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path.symlink_to("etc/app.env")
    write_env_file(path, {"A": "1"})
    write_env_file(path, {"A": "2"})
    assert path.is_symlink()
    assert (tmp_path / "etc" / "app.env").read_text() == "A=2\n"


def test_nothing_is_left_beside_it_and_the_same_again_changes_nothing(path: Path) -> None:
    write_env_file(path, {"A": "1"})
    before = path.stat()
    write_env_file(path, {"A": "1"})
    assert path.stat() == before
    assert list(path.parent.iterdir()) == [path]


def test_whoever_reads_meanwhile_sees_the_one_or_the_other(path: Path) -> None:
    write_env_file(path, {"A": "0", "B": "0"})
    ended, torn = threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            values = read_env_file(path)
            if values.get("A") != values.get("B"):
                torn.append(values)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for number in range(200):
        write_env_file(path, {"A": str(number), "B": str(number)})
    ended.set()
    reader.join()
    assert not torn


@pytest.mark.parametrize("value", ["plain", "postgresql://j:p$w&x#y;z@h/d?a=b&c=d", 'with "quotes"', "two words", "é"])
def test_a_value_is_read_as_it_was_written_by_us_and_by_a_shell(path: Path, value: str) -> None:
    write_env_file(path, {"DATABASE_URL": value})
    assert read_env_file(path) == {"DATABASE_URL": value}
    shell = [shutil.which("sh") or "sh", "-c", f'. "{path}"; printf %s "$DATABASE_URL"']
    assert subprocess.run(shell, capture_output=True, check=True).stdout.decode() == value


@pytest.mark.parametrize("value", ["it's", "two\nlines", "nul\0"])
def test_a_value_that_would_break_the_file_is_refused_and_not_shown(path: Path, value: str) -> None:
    with pytest.raises(BadInput, match="cannot stand in an env file") as caught:
        write_env_file(path, {"DATABASE_URL": value})
    assert value not in str(caught.value)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        write_env_file(path / "no" / ".env", {"A": "1"})


def test_a_check_changes_nothing_and_finds_what_would_fail(tmp_path: Path, path: Path) -> None:
    path.write_bytes(OTHERS)
    before = path.stat()
    check_env_file(path, {"DATABASE_URL": "new"})
    assert path.stat() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadInput, match="cannot be written"):
        check_telling(_settings(tmp_path, env_file=str(tmp_path / "no" / ".env")), 1)


def test_the_application_is_told_where_each_side_is(tmp_path: Path, path: Path) -> None:
    settings = _settings(tmp_path, env_file=str(path))
    tell_env_file(settings, 0)
    assert read_env_file(path) == {
        "DATABASE_URL": f"sqlite:///{tmp_path}/app.db",
        "SWITCHBACK_PRIMARY": "sqlite",
        "SWITCHBACK_EPOCH": "0",
    }
    tell_env_file(settings, 1)
    assert read_env_file(path) == {
        "DATABASE_URL": "postgresql://joe:s3cret@h:5433/app?sslmode=require",
        "SWITCHBACK_PRIMARY": "postgres",
        "SWITCHBACK_EPOCH": "1",
    }


def test_the_application_may_have_addresses_of_its_own(tmp_path: Path) -> None:
    settings = _settings(tmp_path, app_sqlite_url="file:./app.db", app_postgres_url="postgres://app@pool/app")
    assert sqlite_address(settings) == "file:./app.db"
    assert postgres_address(settings) == "postgres://app@pool/app"
    assert "app@pool" not in repr(settings)


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("host=h port=5433 dbname=a user=joe password='p w@/'", "postgresql://joe:p%20w%40%2F@h:5433/a"),
        ("dbname=a", "postgresql:///a"),
        ("host=/run/pg port=5433 dbname=a user=u", "postgresql://u@/a?host=%2Frun%2Fpg&port=5433"),
        ("host=::1 dbname=a sslmode=require", "postgresql://[::1]/a?sslmode=require"),
        ("postgresql://u:it's@h/a", "postgresql://u:it%27s@h/a"),
    ],
)
def test_a_target_in_keywords_becomes_an_address(tmp_path: Path, target: str, url: str) -> None:
    assert postgres_address(_settings(tmp_path, target=target)) == url
