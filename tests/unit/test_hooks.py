"""The operator's own programs are run at a change of sides, with the facts in their environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from operations.telling.hooks import facts_of, run_hook
from shared.errors import BadInput
from shared.settings import Settings, load_settings

FACTS = {"rehearsal": False, "reason": "writers had waited, see postgresql://joe:s3cret@h/d", "attempt": "abc"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "hooks").mkdir()
    given = {"source": str(tmp_path / "app.db"), "target": "postgresql://joe:s3cret@h/d"}
    return load_settings(None, {**given, "hooks": str(tmp_path / "hooks"), "hook_seconds": "10"})


def _hook(settings: Settings, name: str, text: str, *, mode: int = 0o755) -> Path:
    assert settings.hooks
    path = settings.hooks / name
    path.write_text(text)
    path.chmod(mode)
    return path


def _run(settings: Settings, phase: str, epoch: int = 1) -> bool:
    return run_hook(settings, phase, facts_of(settings, epoch, rehearsal=False, reason=FACTS["reason"], attempt="abc"))  # type: ignore[arg-type]


def test_nothing_happens_without_a_folder_or_a_program(tmp_path: Path, settings: Settings) -> None:
    assert _run(settings, "before")
    assert _run(load_settings(None, {"source": str(tmp_path / "a"), "target": "dbname=x"}), "before")


@pytest.mark.parametrize(
    ("phase", "epoch", "primary", "direction"),
    [
        ("before", 1, "sqlite", "forward"),
        ("opened", 1, "postgres", "forward"),
        ("aborted", 1, "sqlite", "forward"),
        ("before", 2, "postgres", "back"),
        ("opened", 2, "sqlite", "back"),
    ],
)
def test_the_facts_are_in_the_environment(
    settings: Settings, tmp_path: Path, phase: str, epoch: int, primary: str, direction: str
) -> None:
    _hook(settings, phase, f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    assert _run(settings, phase, epoch)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert {name: value for name, value in seen.items() if name.startswith("SWITCHBACK_")} == {
        "SWITCHBACK_PHASE": phase,
        "SWITCHBACK_EPOCH": str(epoch),
        "SWITCHBACK_PRIMARY": primary,
        "SWITCHBACK_DIRECTION": direction,
        "SWITCHBACK_REHEARSAL": "no",
        "SWITCHBACK_ATTEMPT": "abc",
        "SWITCHBACK_STREAM": "app",
        "SWITCHBACK_SOURCE": str(tmp_path / "app.db"),
        "SWITCHBACK_REASON": "writers had waited, see postgresql://joe:***@h/d",
        **{name: value for name, value in os.environ.items() if name.startswith("SWITCHBACK_TEST_")},
    }


def test_a_hook_may_call_switchback(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in facts_of(settings, 1, rehearsal=False).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SWITCHBACK_PHASE", "opened")
    monkeypatch.setenv("SWITCHBACK_PRIMARY", "postgres")
    assert load_settings(None, {"target": "dbname=x"}).source == tmp_path / "app.db"


def test_what_it_says_is_shown_without_passwords(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _hook(settings, "opened", "#!/bin/sh\necho to postgresql://joe:s3cret@h/d\necho trouble >&2\n")
    assert _run(settings, "opened")
    said = capsys.readouterr().out
    assert "opened: to postgresql://joe:***@h/d" in said
    assert "opened: trouble" in said


def test_a_failing_hook_before_it_stops_the_cutover_with_its_last_line(settings: Settings) -> None:
    _hook(settings, "before", "#!/bin/sh\necho fine\necho 'not on a Friday' >&2\nexit 4\n")
    with pytest.raises(BadInput, match="the hook failed with code 4: not on a Friday"):
        _run(settings, "before")


@pytest.mark.parametrize("phase", ["opened", "aborted"])
def test_a_failing_hook_after_it_is_told_and_stops_nothing(
    settings: Settings, phase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _hook(settings, phase, "#!/bin/sh\nkill -9 $$\n")
    assert not _run(settings, phase)
    assert "the hook was ended by signal 9" in capsys.readouterr().err


def test_a_hook_that_takes_too_long_is_ended_with_all_that_it_started(settings: Settings, tmp_path: Path) -> None:
    _hook(
        settings,
        "before",
        f"#!/bin/sh\nsleep 1000 & echo $! > {tmp_path}/pid\necho waiting\ntouch {tmp_path}/said\nwait\n",
    )
    for seconds in (0.5, 2.0, 8.0, 32.0):
        with pytest.raises(BadInput, match=f"took longer than {seconds:g} s") as error:
            _run(settings.model_copy(update={"hook_seconds": seconds}), "before")
        if (tmp_path / "said").exists():  # else a busy machine had not come to it: the same with more time
            break
    assert f"took longer than {seconds:g} s: waiting" in str(error.value)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        if not _lives(pid):
            return
        time.sleep(0.01)
    pytest.fail("what the hook started goes on")


def _lives(pid: int) -> bool:
    """Nobody may have collected it yet: then it is there, but a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_a_hook_leaves_running_is_not_waited_for(settings: Settings, tmp_path: Path) -> None:
    _hook(settings, "opened", f"#!/bin/sh\nsleep 1000 &\necho $! > {tmp_path}/pid\n")
    assert _run(settings, "opened")
    os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("#!/bin/sh\n", 0o644, r"not executable \(chmod \+x\)"),
        ("#!/nowhere/python\n", 0o755, "an interpreter that is not there"),
        ("echo no first line\n", 0o755, "names no interpreter"),
    ],
)
def test_a_hook_that_cannot_be_run_is_one_clear_line(settings: Settings, text: str, mode: int, says: str) -> None:
    _hook(settings, "before", text, mode=mode)
    with pytest.raises(BadInput, match=says):
        _run(settings, "before")


def test_a_hook_under_a_name_that_is_no_phase_is_found_in_time(settings: Settings) -> None:
    _hook(settings, "befor", "#!/bin/sh\n")
    _hook(settings, "library.sh", "#!/bin/sh\n")
    with pytest.raises(BadInput, match="no phase 'befor'"):
        _run(settings, "before")


def test_a_folder_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the folder of hooks cannot be read"):
        _run(settings.model_copy(update={"hooks": tmp_path / "nowhere"}), "before")
