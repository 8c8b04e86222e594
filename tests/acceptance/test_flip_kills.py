"""kill -9 of capture, sink and the operator's program at every step of the switch, there and back, under writers."""

from __future__ import annotations

import itertools
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from command import Command, Said
from comparing import TABLES, assert_equal
from daemons import Daemon, Migration, wait_until
from fix_migration import Begin
from shared.control.channel import Channel
from shared.control.fold import State
from shared.log.opening import open_log
from shared.steps import CLOSING_STEPS, CUTOVER_STEPS, OPENING_STEPS
from switching import Application, PostgresSide, Prober, SqliteSide
from traffic import TOTAL

KILLS = int(os.environ.get("SWITCHBACK_FLIP_KILLS", "155"))
"""Kills a log; the suite's default comes to more than 300."""
_TRIES = 12


class Steps:
    """An endless row of steps to die at, all of them in each round, in another order each time."""

    def __init__(self, names: tuple[str, ...], choose: random.Random) -> None:
        self._row = itertools.chain.from_iterable(choose.sample(names, len(names)) for _ in itertools.count())

    def next(self) -> str:
        return next(self._row)


class Loop:
    """The daemons, armed to die, and the operator, who never gives up."""

    def __init__(self, migration: Migration, choose: random.Random) -> None:
        self._migration = migration
        self._choose = choose
        self._command = Command(migration.source.parent, **migration.settings)
        self._steps = {
            "capture": Steps(CLOSING_STEPS, choose),
            "sink": Steps(OPENING_STEPS, choose),
            "operator": Steps(CUTOVER_STEPS, choose),
        }
        self.kills: Counter[str] = Counter()
        self.flips: Counter[bool] = Counter()
        self._armed: dict[str, str | None] = {"capture": "", "sink": ""}

    def state(self) -> State:
        with closing(open_log(self._migration.settings["log"], self._migration.stream)) as log:
            return Channel(log.control).open()

    def turn(self) -> None:
        """One attempt with death in it, and the way to a good end."""
        for name, daemon in self._daemons.items():
            if daemon.running and not self._armed[name]:
                daemon.kill()  # wherever it is
                self._armed[name] = "anywhere"
        self._revive(armed=True)
        before = self.state()
        verb = "cutover" if before.primary == "sqlite" else "rollback"
        at = self._steps["operator"].next() if self._choose.random() < 0.6 else ""
        said = self._command(verb, "--unverified", "--max-pause", "3", kill_at=at)
        self._count_operator(said, at)
        if self._choose.random() < 0.4:
            self._command("abort")
        for _ in range(_TRIES):
            self._revive(armed=self._choose.random() < 0.3)
            self._command(self._choose.choice(("resume", "resume", "abort")))
            if self._good():
                break
        else:
            state, (capture, sink) = self.state(), (self._migration.capture.output, self._migration.sink.output)
            message = f"no good end: {state}\n{capture[-2000:]}\n{sink[-2000:]}\n{said}"
            raise AssertionError(message)
        self.flips[self.state().epoch > before.epoch] += 1

    def _count_operator(self, said: Said, at: str) -> None:
        if said.code == -9:
            self.kills[f"operator {at}"] += 1
        assert "Traceback" not in said.errors, said.errors

    def _good(self) -> bool:
        self._bury()
        return self.state().attempt is None

    def _bury(self) -> None:
        for name, daemon in self._daemons.items():
            if not daemon.running and self._armed[name] is not None:
                code = daemon.wait()
                assert code == -9, f"{name}: exit code {code}; it said:\n{daemon.output[-3000:]}"
                self.kills[f"{name} {self._armed[name]}"] += 1
                self._armed[name] = None

    def _revive(self, *, armed: bool) -> None:
        self._bury()
        for name, daemon in self._daemons.items():
            if not daemon.running:
                step = self._steps[name].next() if armed else ""
                daemon.start(kill_at=step)
                self._armed[name] = step

    @property
    def _daemons(self) -> dict[str, Daemon]:
        return {"capture": self._migration.capture, "sink": self._migration.sink}


@pytest.fixture(params=["embedded", "kafka"])
def moving(request: pytest.FixtureRequest, begin: Begin, postgres_dsn: str) -> Iterator[Migration]:
    log = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if request.param == "kafka" else ""
    migration = begin(postgres_dsn, log, stream=f"flip-{uuid.uuid4().hex[:8]}", bulk=2_000)
    migration.start()
    migration.wait_in_step()
    yield migration
    assert "Traceback" not in migration.capture.output + migration.sink.output


@pytest.mark.timeout(900)
def test_no_kill_loses_or_doubles_a_write_or_opens_both_sides(moving: Migration) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    loop = Loop(moving, random.Random(seed))
    prober = Prober(moving.source, moving.dsn)
    with Application(moving.source, moving.dsn, rate=40.0) as application:
        prober.start()
        while loop.kills.total() < KILLS:
            loop.turn()
        moving.kill()
        moving.start()
        wait_until("writes go on", _more(application, 30))
        application.end()
        prober.end()
    print(
        f"{dict(sorted(loop.kills.items()))}, {loop.flips[True]} of {loop.flips.total()} attempts went through,"  # noqa: T201
        f" {len(application.acknowledged)} acknowledged writes, {prober.looks} looks at both sides"
    )
    _assert_whole(moving, application, loop.state().primary)
    assert not prober.both


def _more(application: Application, count: int) -> Callable[[], bool]:
    before = len(application.acknowledged)
    return lambda: len(application.acknowledged) >= before + count


def _assert_whole(migration: Migration, application: Application, primary: str) -> None:
    """What the primary has is what was acknowledged, each once, and the replica comes to be equal."""
    side = SqliteSide(migration.source) if primary == "sqlite" else PostgresSide(migration.dsn)
    lost = [me for me in application.acknowledged if not side.has(*me)]
    assert not lost, f"{len(lost)} of {len(application.acknowledged)} acknowledged writes are lost: {lost[:5]}"
    side.close()
    wait_until("both sides are equal", lambda: _equal(migration))
    with psycopg.connect(migration.dsn) as db:
        assert db.execute("SELECT sum(balance) FROM account").fetchone() == (TOTAL,)


def _equal(migration: Migration) -> bool:
    try:
        assert_equal(migration.source, migration.dsn, *TABLES)
    except AssertionError:
        return False
    return True
