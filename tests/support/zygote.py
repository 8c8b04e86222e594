"""A process that has imported the programs already, and forks one of them at each order: a start costs milliseconds.

Orders and answers are lines of JSON on stdin and stdout.  It has one thread, so that a fork is safe.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
import select
import signal
import sys
from typing import Any, NoReturn

import capture.app
import operations.cli
import operations.cutover.controls
import operations.cutover.flip
import operations.telling.announcing
import sink.app
import sink.topics.app

PROGRAMS = (capture.app, sink.app, sink.topics.app, operations.cli)


def main() -> None:
    """Serve until stdin ends."""
    gc.freeze()
    wake, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told)
    rest = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *orders, rest = (rest + data).split(b"\n")
            for order in orders:
                _start(json.loads(order))


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _answer({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _start(order: dict[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        _become(order)
    _answer({"order": order["order"], "pid": pid})


def _answer(answer: dict[str, int]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _become(order: dict[str, Any]) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    for target, (path, flags) in enumerate(zip(order["files"], (os.O_RDONLY, _APPEND, _APPEND), strict=True)):
        os.dup2(os.open(path, flags, 0o600), target)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = [order["program"], *order["arguments"]]
    code = 70
    try:
        runpy.run_module(order["program"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (what the interpreter itself does at the end of a program)
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

if __name__ == "__main__":
    main()
