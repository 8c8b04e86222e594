"""What every daemon does around its work, tried on a program of its own that is started and signalled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.presence import is_running, read_presence
from shared.steps import STEPS

PROGRAM = """
import sys
from shared import errors
from shared.metrics import CaptureMetrics
from shared.program import Context, run_program
from shared.steps import reached

def serve(context: Context) -> None:
    CaptureMetrics(context.registry)
    mode, tries = sys.argv[1], []
    def work() -> None:
        tries.append(1)
        if mode == "retry" and len(tries) < 3:
            raise errors.Retry("the server is away", where="postgresql://joe:s3cret@host/db")
        if mode in ("Stop", "Hold", "BadInput", "LeaseLost"):
            raise getattr(errors, mode)("it cannot be", remedy="Do something")
        if mode == "bug":
            raise ZeroDivisionError("oh")
        if mode == "step":
            while True:
                print("counted", flush=True)
                reached("applied")
        context.retrying.well()
        print("ready", flush=True)
        context.stop.wait()
    context.retrying.run(work)

run_program("capture", serve, needs=("source",), port="capture_port", arguments=sys.argv[2:])
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts the program in a mode, with flags and variables."""

    def starting(mode: str, *flags: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, mode, "--source", str(tmp_path / "app.db"), *flags]
        if "--capture-port" not in flags:
            command += ["--capture-port", "0"]
        environment = {**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return starting


def _wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", (line, process.stderr.read() if process.stderr and not line else "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_on_a_signal(start: Start, tmp_path: Path, number: int) -> None:
    process = start("work")
    _wait_ready(process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "ended" in errors
    note = read_presence(tmp_path / ".switchback", "app", "capture")
    assert note is not None
    assert (note.exit_code, note.error) == (0, "")


IN_THE_LOCK = "with stop._cond: os.kill(os.getpid(), signal.SIGTERM)"
NOT_WOKEN = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
"""


@pytest.mark.parametrize("moment", [IN_THE_LOCK, NOT_WOKEN], ids=["in the event's lock", "the wait is not woken by it"])
def test_a_signal_at_the_worst_moment_stops_it_too(moment: str) -> None:
    """The main thread is just about to wait for the event that the signal sets, before or behind its last look."""
    program = f"""
import os, signal, threading
from shared.signals import set_on_signals

stop = threading.Event()
set_on_signals(stop)
{moment}
print(stop.wait(30))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "True\n"


def test_it_ends_with_its_supervisor_however_that_ended(start: Start) -> None:
    process = start("work", "--supervised")
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    _wait_ready(process)
    process.stdin.close()
    assert process.wait(30) == 0


def test_it_does_nothing_before_its_supervisor_lets_it_begin(start: Start, tmp_path: Path) -> None:
    process = start("work", "--supervised")
    said = process.communicate("", timeout=30)
    assert (process.returncode, said) == (0, ("", ""))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "code"), [("BadInput", 2), ("Stop", 3), ("LeaseLost", 3), ("Hold", 3)])
def test_an_error_of_ours_is_one_line_and_an_exit_code(start: Start, tmp_path: Path, mode: str, code: int) -> None:
    process = start(mode)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors.splitlines()[-1] == "switchback-capture: it cannot be. Do something"
    assert "Traceback" not in errors
    note = read_presence(tmp_path / ".switchback", "app", "capture")
    assert note is not None
    assert (note.exit_code, note.error) == (code, "it cannot be. Do something")


def test_a_bug_leaves_its_traceback_in_the_log(start: Start) -> None:
    process = start("bug")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 70
    assert "ZeroDivisionError: oh" in errors


def test_what_passes_is_tried_again_and_said_once_without_secrets(start: Start) -> None:
    process = start("retry", "--log-format", "json")
    _wait_ready(process)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    said = [json.loads(line) for line in errors.splitlines()]
    assert [line["event"] for line in said] == ["started", "waiting to try again", "goes on", "ended"]
    assert said[1]["reason"] == "the server is away (postgresql://joe:***@host/db)"
    assert said[1]["timestamp"].endswith("Z")


def test_metrics_are_served_from_the_start(start: Start, tmp_path: Path) -> None:
    process = start("retry")
    _wait_ready(process)
    note = read_presence(tmp_path / ".switchback", "app", "capture")
    assert note is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{note.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    process.kill()
    process.communicate()
    assert 'switchback_errors_total{class="retry"} 2.0' in text
    assert 'program="capture",stream="app"' in text


def test_a_metrics_port_that_is_taken_is_named(start: Start, tmp_path: Path) -> None:
    first = start("work")
    _wait_ready(first)
    note = read_presence(tmp_path / ".switchback", "app", "capture")
    assert note is not None
    second = start("work", "--capture-port", str(note.port))
    _, errors = second.communicate(timeout=30)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert f"the metrics port {note.port} cannot be opened" in errors


def test_the_note_of_a_killed_daemon_deceives_nobody(start: Start, tmp_path: Path) -> None:
    process = start("work")
    _wait_ready(process)
    assert is_running(tmp_path / ".switchback", "app", "capture")
    process.kill()
    process.communicate()
    assert not is_running(tmp_path / ".switchback", "app", "capture")


def test_a_second_instance_leaves_the_note_of_the_first_alone(start: Start, tmp_path: Path) -> None:
    first = start("work")
    _wait_ready(first)
    start("Stop").communicate(timeout=30)
    note = read_presence(tmp_path / ".switchback", "app", "capture")
    first.kill()
    first.communicate()
    assert note is not None
    assert (note.pid, note.error) == (first.pid, "")


def test_an_ordered_kill_comes_at_that_step_and_that_count(start: Start) -> None:
    process = start("step", SWITCHBACK_KILL_AT="applied:3")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert out.count("counted") == 3


def test_an_order_for_an_unknown_step_is_refused_with_the_steps_there_are(start: Start) -> None:
    process = start("work", SWITCHBACK_KILL_AT="nowhere")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert all(step in errors for step in STEPS)


def test_a_state_folder_that_cannot_be_written_to_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start("work", "--state-dir", str(tmp_path / "file"))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "the state folder cannot be written to" in errors
