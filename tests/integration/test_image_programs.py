"""The two small programs of the image: what keeps a daemon from being started again, and the health check."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.pulse import HEALTH, Pulse
from shared.serving import start_server

FOLDER = Path(__file__).parents[2] / "deploy" / "image"
SLEEPS = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"


def start(code: str) -> subprocess.Popen[str]:
    words = [str(FOLDER / "run-daemon"), sys.executable, "-c", code]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("code", [0, 1, 70])
def test_an_end_that_a_restart_may_mend_ends_the_container(code: int) -> None:
    running = start(f"raise SystemExit({code})")
    assert running.wait(20) == code


@pytest.mark.parametrize("code", [2, 3])
def test_an_end_that_somebody_must_look_at_stays_until_it_is_told_to_go(code: int) -> None:
    running = start(f"raise SystemExit({code})")
    assert running.stderr
    assert f"ended with code {code} and is not started again" in running.stderr.readline()
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == code


def test_a_stop_is_passed_on_to_the_daemon() -> None:
    running = start(SLEEPS)
    assert running.stdout
    assert running.stdout.readline() == "up\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0


def test_a_daemon_that_answers_is_healthy() -> None:
    pulse = Pulse()
    port = start_server("127.0.0.1", 0, CollectorRegistry(), {HEALTH: pulse.health})
    assert check(SWITCHBACK_CAPTURE_PORT="off", SWITCHBACK_SINK_PORT=str(port), SWITCHBACK_TOPICS_PORT="off") == 0


def test_where_nothing_answers_is_not_healthy() -> None:
    assert check(SWITCHBACK_CAPTURE_PORT="off", SWITCHBACK_SINK_PORT="1", SWITCHBACK_TOPICS_PORT="off") == 1


def check(**ports: str) -> int:
    return subprocess.run([sys.executable, FOLDER / "healthy.py"], env={**os.environ, **ports}, check=False).returncode
