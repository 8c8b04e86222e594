"""The application is told who is primary, and the log has it once all of that went well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from operations.telling.announcing import announce
from operations.telling.env_file import read_env_file
from shared.control.channel import Channel
from shared.control.records import Asked, Drained, Fenced, Held, Opened, Opening, Prepared, Verified
from shared.log.opening import open_log_of
from shared.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "hooks").mkdir()
    given = {"source": str(tmp_path / "app.db"), "target": "postgresql://joe@h/app", "hooks": str(tmp_path / "hooks")}
    return load_settings(None, {**given, "env_file": str(tmp_path / "app.env")})


@pytest.fixture
def channel(settings: Settings) -> Iterator[Channel]:
    """Just behind a cutover."""
    settings.state_dir.mkdir()
    with closing(open_log_of(settings)) as log:
        channel = Channel(log.control)
        channel.open()
        about: dict[str, Any] = {"by": "test", "at_ms": 1, "attempt": "abc"}
        channel.say(Asked(**about, epoch=1, max_pause_ms=5000))
        channel.say(Held(**about, lease=1, number=1, offset=1))
        for step in (Drained, Verified, Prepared, Fenced, Opening, Opened):
            assert not channel.say(step(**about))
        yield channel


def _hook(settings: Settings, text: str) -> None:
    assert settings.hooks
    path = settings.hooks / "opened"
    path.write_text(text)
    path.chmod(0o755)


def test_the_env_file_is_written_before_the_hook_runs_and_both_before_it_counts_as_told(
    settings: Settings, channel: Channel, tmp_path: Path
) -> None:
    _hook(settings, f'#!/bin/sh\n(cat {tmp_path}/app.env; echo "ATTEMPT=$SWITCHBACK_ATTEMPT") > {tmp_path}/seen\n')
    assert channel.state.announced == 0
    assert announce(settings, channel)
    assert channel.state.announced == 1
    seen = read_env_file(tmp_path / "seen")
    assert seen["DATABASE_URL"] == "postgresql://joe@h/app"
    assert (seen["SWITCHBACK_PRIMARY"], seen["SWITCHBACK_EPOCH"], seen["ATTEMPT"]) == ("postgres", "1", "abc")


def test_a_hook_that_fails_leaves_it_to_be_told_again(
    settings: Settings, channel: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _hook(settings, "#!/bin/sh\nexit 1\n")
    assert not announce(settings, channel)
    assert channel.state.announced == 0
    assert "switchback resume" in capsys.readouterr().err
    assert read_env_file(tmp_path / "app.env")["SWITCHBACK_PRIMARY"] == "postgres"
    _hook(settings, "#!/bin/sh\n")
    assert announce(settings, channel)
    assert channel.state.announced == 1


def test_the_hook_runs_even_where_the_env_file_cannot_be_written(
    settings: Settings, channel: Channel, tmp_path: Path
) -> None:
    _hook(settings, f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    broken = settings.model_copy(update={"env_file": tmp_path / "nowhere" / ".env"})
    assert not announce(broken, channel)
    assert (tmp_path / "ran").exists()
    assert channel.state.announced == 0
