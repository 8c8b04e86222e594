"""What no setting can be: each is answered with one line that names it, wherever it was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operations.cli import app
from shared.errors import BadInput
from shared.settings import all_settings, load_settings

GIVEN = {"source": "app.db", "target": "postgresql://joe@localhost/app"}
_PATHS = ("source", "state_dir", "target_password_file", "hooks", "env_file", "app_postgres_url_file")
_SECONDS = ("busy_seconds", "prune_seconds", "hook_seconds")
_TOO_MUCH = ("inf", "nan", "1e300")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a settings file, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for setting in all_settings():
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("SWITCHBACK_CONFIG", raising=False)
    return tmp_path


def _refused(name: str, given: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as refused:
        load_settings(None, given)
    said = str(refused.value)
    assert f"setting {name}: " in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", [*_PATHS, "log", "kafka.cafile", "kafka.sasl_password_file"])
@pytest.mark.parametrize("value", ["5", "false", "[]", "1979-05-27"])
def test_a_path_in_the_file_that_is_no_text_is_named(folder: Path, name: str, value: str) -> None:
    section, _, key = name.rpartition(".")
    (folder / "switchback.toml").write_text(f"[{section}]\n{key} = {value}" if section else f"{key} = {value}")
    assert "text" in _refused(name, {**GIVEN})


@pytest.mark.parametrize("name", [*_PATHS, "kafka_sasl_password_file"])
def test_a_home_that_nobody_has_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    place = name.replace("kafka_", "kafka.")
    assert "~nouser" in _refused(place, {**GIVEN, name: "~nouser/x"})
    monkeypatch.setenv(f"SWITCHBACK_{name.upper()}", "~nouser/x")
    assert "~nouser" in _refused(place, {"target": GIVEN["target"]})


@pytest.mark.parametrize("line", ['source = "~nouser/x"', 'hooks = "~nouser/x"', 'log = "embedded:~nouser/x"'])
def test_a_home_that_nobody_has_is_named_in_the_file_too(folder: Path, line: str) -> None:
    (folder / "switchback.toml").write_text(line)
    assert "~nouser" in _refused(line.split(maxsplit=1)[0], {"target": GIVEN["target"]})


@pytest.mark.parametrize("name", ["source", "state_dir", "log", "target", "stream", "kafka.sasl_user"])
def test_a_text_with_nul_is_named_and_not_shown(folder: Path, name: str) -> None:
    section, _, key = name.rpartition(".")
    line = f'{key} = "postgresql://joe:s3cret\\u0000@h/app"'
    (folder / "switchback.toml").write_text(f"[{section}]\n{line}" if section else line)
    assert "s3cret" not in _refused(name, {})


def test_a_password_file_with_nul_is_named_and_not_shown(folder: Path) -> None:
    (folder / "pw").write_bytes(b"s3cret\0")
    with pytest.raises(BadInput, match=r"NUL .*pw") as refused:
        load_settings(None, {**GIVEN, "target_password_file": "pw"})
    assert "s3cret" not in str(refused.value)


def test_a_folder_that_may_not_be_searched_for_the_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.stat

    def refuse(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        if str(path) == "switchback.toml":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *rest, **more)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(BadInput, match=r"switchback\.toml .*cannot be looked for: Permission denied.*--config"):
        load_settings(None, GIVEN)


def test_a_working_folder_that_is_gone_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    with pytest.raises(BadInput, match="the working folder cannot be told: No such file or directory"):
        load_settings(None, GIVEN)


@pytest.mark.parametrize("name", _SECONDS)
@pytest.mark.parametrize("value", _TOO_MUCH)
def test_seconds_without_end_are_refused(folder: Path, name: str, value: str) -> None:
    _refused(name, {**GIVEN, name: value})
    (folder / "switchback.toml").write_text(f"{name} = {value}")
    _refused(name, {**GIVEN})


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *((command, "--max-pause") for command in ("cutover", "rollback", "rehearse")),
        *((command, "--verified-within") for command in ("cutover", "rollback", "rehearse")),
        *((command, "--wait") for command in ("abort", "resume")),
    ],
)
@pytest.mark.parametrize("value", _TOO_MUCH)
def test_a_flag_without_end_is_refused(command: str, flag: str, value: str) -> None:
    said = CliRunner().invoke(app, [command, flag, value, "--source", "app.db", "--target", "postgresql://h/db"])
    code = said.exception.exit_code if isinstance(said.exception, BadInput) else said.exit_code
    assert code == 2
    assert flag in f"{said.exception} {said.output}"
