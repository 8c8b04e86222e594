"""The units of deploy/systemd, as systemd itself judges them; no service is started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from missing import give_up
from shared.errors import BadInput, Stop

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
PROGRAMS = ("capture", "sink", "topics")
WORST_EXPOSURE = "30"  # in tenths


def ask(program: str, *arguments: str | Path) -> str:
    if not shutil.which(program):
        give_up(f"no {program}", "apt-get install systemd")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_daemon_has_a_unit() -> None:
    assert [unit.name for unit in UNITS] == [f"switchback-{name}@.service" for name in PROGRAMS]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_as_systemd_wants_it(unit: Path, tmp_path: Path) -> None:
    program = f"/opt/switchback/bin/{unit.name.partition('@')[0]}"
    text = unit.read_text()
    assert f"ExecStart={program}\n" in text
    here = tmp_path / unit.name
    here.write_text(text.replace(program, sys.executable))  # a program that is there
    assert ask("systemd-analyze", "verify", here) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_to_little(unit: Path) -> None:
    ask("systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", unit)


def test_what_a_restart_does_not_mend_is_not_started_again() -> None:
    for unit in UNITS:
        assert f"RestartPreventExitStatus={BadInput.exit_code} {Stop.exit_code}\n" in unit.read_text()


def test_the_units_of_the_daemons_differ_in_their_program_only() -> None:
    capture, sink, _ = (_common(unit) for unit in UNITS)
    assert capture == sink


def test_the_topics_unit_has_no_secret_and_leaves_the_daemons_folder_alone() -> None:
    capture, _, topics = (_common(unit) for unit in UNITS)
    assert set(topics) - set(capture) == {
        "Environment=SWITCHBACK_STREAM=%i SWITCHBACK_STATE_DIR=%S/switchback-topics/%i",
        "UnsetEnvironment=SWITCHBACK_TARGET_PASSWORD_FILE",
        "StateDirectory=switchback-topics/%i",
    }


def test_the_account_and_the_folders_can_be_made(tmp_path: Path) -> None:
    ask("systemd-sysusers", "--dry-run", f"--root={tmp_path}", FOLDER / "sysusers.conf")
    ask("systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "tmpfiles.conf")
    assert (tmp_path / "etc/switchback").is_dir()


def _common(unit: Path) -> list[str]:
    lines = unit.read_text().splitlines()
    return [line for line in lines if not line.startswith(("#", "Description=", "ExecStart="))]
