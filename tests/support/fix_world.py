"""A migration with its application and a prober on both sides, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from command import QuickCommand
from daemons import Migration, wait_until
from fix_migration import Begin
from forking import Forked
from shared.control.fold import Flip, State
from shared.control.records import Held
from switching import Application, Prober, assert_exactly_once, takers, wait_until_both_have

PATIENT = ("--max-pause", "12")
"""A machine on which something stands still for a few seconds does not end a flip; SQLite's writers wait longer yet."""


class World:
    """A migration in step with its application and a prober; ``end`` holds everything against each other."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.command = QuickCommand(migration.source.parent, **migration.settings)
        migration.start()
        migration.wait_in_step()
        self.application = Application(migration.source, migration.dsn, rate=40.0)
        self.prober = Prober(migration.source, migration.dsn)
        for writer in self.application.writers:
            writer.start()
        self.prober.start()
        self._wait_until_seen()

    def state(self) -> State:
        return self.migration.state()

    def flip(self, verb: str, *words: str, code: int = 0) -> str:
        """One that must go through waits until nothing is in its way: a replica that is late on a busy machine is."""
        if code == 0:
            self.wait_in_step()
            words = (*PATIENT, *words)
        said = self.command(verb, "--unverified", *words)
        seen = said.out + said.errors
        daemons = self.migration.capture.output[-1500:] + self.migration.sink.output[-1500:]
        assert said.code == code, seen + daemons
        assert "Traceback" not in said.errors
        if code == 0 and self.prober.is_alive():
            self._wait_until_seen()
        return seen

    def start_flip(self, verb: str, *words: str) -> Forked:
        return self.command.begin(verb, "--unverified", *words)

    def freeze_in_hold(self, verb: str, *words: str) -> Forked:
        """Begin a flip with the sink stopped: writers are held, and nothing goes on before it is thawed.

        A hold that was over before it was seen, as may be on a busy machine, is followed by another one.
        """
        while True:
            before, process = self.state().last, self._begin_frozen(verb, *words)
            if self._sees_hold(before):
                return process
            self.migration.sink.thaw()
            process.communicate(timeout=60)
            wait_until("nothing is under way", lambda: self.state().attempt is None)

    def _sees_hold(self, before: Flip | None) -> bool:
        """False where it is over already."""
        seen: list[State] = []

        def held_or_over() -> bool:
            seen[:] = [self.state()]
            attempt = seen[0].attempt
            return seen[0].last != before or (attempt is not None and (attempt.has(Held) or bool(attempt.aborted)))

        wait_until("writers are held", held_or_over)
        attempt = seen[0].attempt
        return attempt is not None and not attempt.aborted

    def _begin_frozen(self, verb: str, *words: str) -> Forked:
        self.wait_in_step()
        postponed = self.migration.source.with_name("postponed")
        postponed.touch()
        process = self.start_flip(verb, "--postpone", str(postponed), *words)
        wait_until("it is ready", lambda: _is_ready(process))
        self.migration.sink.freeze()
        postponed.unlink()
        return process

    def writes_go_on(self, count: int = 20) -> None:
        wait_until("writes of each writer go on", self.application.more(count))

    def takers(self) -> list[str]:
        """The sides that take writes."""
        return takers(self.migration.source, self.migration.dsn)

    def _wait_until_seen(self) -> None:
        primary = self.state().primary
        wait_until(f"the prober has seen {primary} open", lambda: primary in self.prober.opened)

    def wait_in_step(self) -> None:
        """Until the last write of each writer that was acknowledged by now is on both sides, whoever is primary."""
        wait_until_both_have(self.application, self.migration.source, self.migration.dsn)

    def end(self) -> None:
        """Each write is on both sides once, each writer got on, and the prober never saw both sides open, but each."""
        self.writes_go_on()
        self._wait_until_seen()
        self.application.end()
        self.prober.end()
        state = self.state()
        assert_exactly_once(self.application, self.migration.source, self.migration.dsn, state.primary)
        self.prober.assert_saw(state.epoch)

    def close(self) -> None:
        """However the test ended: a daemon may have a lock that a writer waits for."""
        self.migration.kill()
        self.application.end()
        if self.prober.is_alive():
            self.prober.end()


def _is_ready(process: Forked) -> bool:
    assert process.poll() is None, process.communicate()
    return "Ready" in process.said


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(begin: Begin) -> Iterator[MakeWorld]:
    made: list[World] = []

    def making(dsn: str, log: str = "") -> World:
        made.append(World(begin(dsn, log)))
        return made[-1]

    yield making
    for world in made:
        world.close()


@pytest.fixture
def world(postgres_dsn: str, make_world: MakeWorld) -> World:
    return make_world(postgres_dsn)


@pytest.fixture(params=["cutover", "rollback"])
def verb(request: pytest.FixtureRequest, world: World) -> str:
    """The switch that is next."""
    if request.param == "rollback":
        world.flip("cutover")
    return str(request.param)
