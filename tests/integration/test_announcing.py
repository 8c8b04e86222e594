"""The application is told who is primary, and the log has it once all of that went well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from daemons import wait_until
from operations.telling.announcing import announce, is_told
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
    with _opened(settings) as channel:
        _switch(channel, epoch=1)
        yield channel


@contextmanager
def _opened(settings: Settings) -> Iterator[Channel]:
    with closing(open_log_of(settings)) as log:
        channel = Channel(log.control)
        channel.open()
        yield channel


def _switch(channel: Channel, epoch: int) -> None:
    about: dict[str, Any] = {"by": "test", "at_ms": 1, "attempt": "abc" * epoch}
    assert not channel.say(Asked(**about, epoch=epoch, max_pause_ms=5000))
    assert not channel.say(Held(**about, lease=1, number=1, offset=1))
    for step in (Drained, Verified, Prepared, Fenced, Opening, Opened):
        assert not channel.say(step(**about))


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


def test_a_program_that_slept_while_another_went_back_tells_what_is_true_now(
    settings: Settings, channel: Channel, tmp_path: Path
) -> None:
    with _opened(settings) as other:
        _switch(other, epoch=2)
        assert announce(settings, other)
    assert channel.state.epoch == 1
    assert announce(settings, channel)
    assert read_env_file(tmp_path / "app.env")["SWITCHBACK_EPOCH"] == "2"


def test_what_another_switch_made_untrue_while_it_was_told_is_told_anew(
    settings: Settings, channel: Channel, tmp_path: Path
) -> None:
    """The hook, here, stands for a program that stops for a while just before it writes."""
    _hook(settings, f"#!/bin/sh\ntouch {tmp_path}/began\nwhile test ! -e {tmp_path}/go; do sleep 0.01; done\n")
    telling = threading.Thread(target=announce, args=(settings, channel))
    telling.start()
    wait_until("the hook runs", (tmp_path / "began").exists)
    with _opened(settings) as other:
        _switch(other, epoch=2)
    (tmp_path / "go").touch()
    telling.join()
    assert read_env_file(tmp_path / "app.env")["SWITCHBACK_EPOCH"] == "2"
    assert channel.state.announced == 2


def test_an_env_file_that_says_otherwise_is_not_told(settings: Settings, channel: Channel, tmp_path: Path) -> None:
    """Somebody who was killed behind writing it, and before he heard that it was old news."""
    assert not is_told(settings, channel.state)
    assert announce(settings, channel)
    assert is_told(settings, channel.state)
    (tmp_path / "app.env").write_text("SWITCHBACK_EPOCH=0\n")
    assert not is_told(settings, channel.state)


def test_without_the_new_primarys_address_the_env_file_stays_and_it_counts_as_untold(
    settings: Settings, channel: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `switchback resume --source app.db` is called on another machine."""
    nameless = settings.model_copy(update={"target": SecretStr("")})
    assert not announce(nameless, channel)
    assert "address of PostgreSQL is not known. Give --target" in capsys.readouterr().err
    assert not (tmp_path / "app.env").exists()
    assert channel.state.announced == 0
