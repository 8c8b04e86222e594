"""kill -9 of capture, sink and the operator's program at every step of the switch, there and back, under writers."""

from __future__ import annotations

import itertools
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from background import Background
from command import QuickCommand
from daemons import Daemon, Migration, wait_until
from fix_migration import Begin
from shared.control.channel import Channel
from shared.control.records import Aborted
from shared.log.opening import open_log
from shared.steps import CLOSING_STEPS, CUTOVER_STEPS, OPENING_STEPS
from switching import Application, Prober, assert_exactly_once

KILLS = {"embedded": 80, "embedded once more": 70, "kafka": 50}
"""Kills by log: 300 in the suite with the 100 of ``test_flip_each_step``; ``SWITCHBACK_TEST_FLIP_KILLS`` asks for so
many of each.

``SWITCHBACK_TEST_FLIP_SEED`` takes the choices of a run before, which says its seed; when they meet, time decides.
"""
_THERE_AND_BACK = 2  # the epoch in which SQLite is the primary for the second time
_ENOUGH_SECONDS = 700.0
"""A slow machine kills no daemon after that; the run says so, and makes up for a change of primary that it lacks."""
_GOOD_END_SECONDS = 240.0  # daemons that are killed again and again, on a slow machine, need some tries
_ARMED = 0.7  # how often a program is started with the order to die at a step
_ANYWHERE = 0.001  # how often one that is not is killed, each fiftieth of a second
_OVERDUE_SECONDS = 6.0  # one that does not come to its step is killed wherever it is
_GIVES_UP = 0.25


class Steps:
    """An endless row of steps to die at, all of them in each round, in another order each time."""

    def __init__(self, names: tuple[str, ...], choose: random.Random) -> None:
        self._row = itertools.chain.from_iterable(choose.sample(names, len(names)) for _ in itertools.count())

    def next(self) -> str:
        return next(self._row)


class Supervisor(Background):
    """Starts a daemon that died at once, mostly with the order to die again at the next of its steps."""

    def __init__(self, daemon: Daemon, steps: Steps, choose: random.Random) -> None:
        super().__init__()
        self._daemon, self._steps, self._choose = daemon, steps, choose
        self._step = "anywhere"
        self._began = 0.0
        self.kills: list[str] = []
        self.wrong = ""

    def run(self) -> None:
        self._daemon.kill()
        while not self._end.wait(0.02) and not self.wrong:
            if not self._daemon.running:
                self._bury()
                self._step = self._steps.next() if self._choose.random() < _ARMED else ""
                self._daemon.start(kill_at=self._step)
                self._began = time.monotonic()
            elif self._is_due():
                self._step = "anywhere"
                self._daemon.kill()

    def _is_due(self) -> bool:
        if self._step:
            return time.monotonic() - self._began > _OVERDUE_SECONDS
        return self._choose.random() < _ANYWHERE

    def _bury(self) -> None:
        code = self._daemon.wait()
        self.kills.append(self._step)
        if code != -9:
            self.wrong = f"exit code {code}; it said:\n{self._daemon.output[-3000:]}"

    def let_live(self) -> None:
        """No more kills."""
        self.end()
        if not self.wrong:
            self._daemon.kill()
            self._daemon.start()


class Rival(Background):
    """A second operator, who gives up what the first one has begun, at any moment of it."""

    def __init__(self, migration: Migration, choose: random.Random) -> None:
        super().__init__()
        self._log, self._stream = migration.settings["log"], migration.stream
        self._choose = choose

    def run(self) -> None:
        seen = ""
        with closing(open_log(self._log, self._stream)) as log:
            channel = Channel(log.control)
            channel.warm()
            while not self._end.is_set():
                attempt = channel.look(0.05).attempt
                if attempt is None or attempt.id == seen:
                    continue
                seen = attempt.id
                if self._choose.random() < _GIVES_UP:
                    self._end.wait(self._choose.uniform(0, 0.08))
                    channel.say(Aborted(by="operator", at_ms=0, attempt=seen, reason="a rival"))


class Operator:
    """Never gives up; dies too."""

    def __init__(self, migration: Migration, steps: Steps, choose: random.Random) -> None:
        self._migration, self._steps, self._choose = migration, steps, choose
        self._command = QuickCommand(migration.source.parent, **migration.settings)
        self.kills: list[str] = []
        self.attempts = 0

    def turn(self) -> None:
        """One attempt, and the way to a good end, by ``resume`` or ``abort``."""
        verb = "cutover" if self._migration.state().primary == "sqlite" else "rollback"
        at = self._steps.next() if self._choose.random() < _ARMED else ""
        said = self._command(verb, "--unverified", "--max-pause", "1", kill_at=at)
        self.attempts += 1
        if said.code == -9:
            self.kills.append(at)
        assert "Traceback" not in said.errors, said.errors
        wait_until("the attempt has ended, and well", self._ended, _GOOD_END_SECONDS)

    def _ended(self) -> bool:
        if self._migration.state().attempt is None:
            return True
        verb = self._choose.choice(("resume", "resume", "abort"))
        at = self._choose.choice(("", "", "abort-said" if verb == "abort" else "hook-told"))
        if self._command(verb, "--wait", "1", kill_at=at).code == -9:
            self.kills.append(at)
        return False


@pytest.fixture(params=list(KILLS))
def moving(request: pytest.FixtureRequest, begin: Begin, postgres_dsn: str) -> Iterator[Migration]:
    log = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if request.param == "kafka" else ""
    migration = begin(postgres_dsn, log, stream=f"flip-{uuid.uuid4().hex[:8]}", bulk=2_000)
    migration.start()
    migration.wait_in_step()
    yield migration
    assert "Traceback" not in migration.capture.output + migration.sink.output


@pytest.mark.timeout(1200)
@pytest.mark.longest
def test_no_kill_loses_or_doubles_a_write_or_opens_both_sides(
    moving: Migration, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> None:
    log = request.node.callspec.params["moving"]
    wanted = int(os.environ.get("SWITCHBACK_TEST_FLIP_KILLS", KILLS[log]))
    seed = int(os.environ.get("SWITCHBACK_TEST_FLIP_SEED", random.randrange(10**6)))
    say(f"seed {seed}")
    choose = random.Random(seed)
    operator = Operator(moving, Steps(CUTOVER_STEPS, choose), choose)
    capture = Supervisor(moving.capture, Steps(CLOSING_STEPS, choose), random.Random(seed + 1))
    sink = Supervisor(moving.sink, Steps(OPENING_STEPS, choose), random.Random(seed + 2))
    supervisors = (capture, sink)
    with (
        Application(moving.source, moving.dsn, rate=40.0) as application,
        Prober(moving.source, moving.dsn) as prober,
        Rival(moving, random.Random(seed + 3)) as rival,
        capture,
        sink,
    ):
        enough = time.monotonic() + _ENOUGH_SECONDS
        in_time = True
        while in_time and (
            len(operator.kills) + len(capture.kills) + len(sink.kills) < wanted
            or moving.state().epoch < _THERE_AND_BACK
        ):
            operator.turn()
            in_time = time.monotonic() < enough
            assert not any(supervisor.wrong for supervisor in supervisors), [one.wrong for one in supervisors]
        rival.end()
        capture.let_live()
        sink.let_live()
        among_kills = moving.state().epoch
        while moving.state().epoch < _THERE_AND_BACK and time.monotonic() < enough + _GOOD_END_SECONDS:
            operator.turn()
        wait_until("writes of each writer go on", application.more(30))
        application.end()
        prober.end()
    kills = Counter(operator.kills + capture.kills + sink.kills)
    state = moving.state()
    say(f"{kills.total()} kills of {wanted} {dict(sorted(kills.items()))}{'' if in_time else ', and then time was up'}")
    say(f"{state.epoch} of {operator.attempts} attempts went through, {among_kills} while daemons were killed")
    say(f"{len(application.acknowledged)} acknowledged writes, {len(application.unknown)} of unknown fate")
    say(f"{prober.looks} looks at both sides")
    assert_exactly_once(application, moving.source, moving.dsn, state.primary)
    prober.assert_saw(state.epoch)
    assert state.epoch >= _THERE_AND_BACK, "no change of primary there and back went through"
    assert kills.total() >= (wanted if in_time else wanted // 4)
