"""There and back again with the programs as the operator runs them, under an application that follows the primary."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from command import QuickCommand
from comparing import TABLES, assert_equal
from daemons import Migration, wait_until
from fix_migration import Begin
from fix_world import PATIENT
from switching import Application, Prober, assert_exactly_once, wait_until_both_have


@pytest.fixture(params=["embedded", "kafka"])
def moving(request: pytest.FixtureRequest, begin: Begin, postgres_dsn: str) -> Iterator[Migration]:
    log = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if request.param == "kafka" else ""
    migration = begin(postgres_dsn, log, stream=f"flip-{uuid.uuid4().hex[:8]}")
    migration.start()
    migration.wait_in_step()
    yield migration
    assert "Traceback" not in migration.capture.output + migration.sink.output


def _switch(migration: Migration, application: Application, verb: str) -> str:
    wait_until_both_have(application, migration.source, migration.dsn)  # a replica that is late is in its way
    done = QuickCommand(migration.source.parent, **migration.settings)(verb, "--unverified", *PATIENT)
    assert done.code == 0, done.out + done.errors + migration.capture.output[-3000:] + migration.sink.output[-3000:]
    return done.out


def test_there_and_back_again_twice_no_write_is_lost_or_doubled(moving: Migration) -> None:
    with Application(moving.source, moving.dsn) as application, Prober(moving.source, moving.dsn) as prober:
        for verb in ("cutover", "rollback", "cutover", "rollback"):
            wait_until("the application wrote", application.more(30))
            said = _switch(moving, application, verb)
            assert "write pause" in said
            print(said, application.longest_pause(0))  # noqa: T201
        wait_until("the application wrote", application.more(30))
        application.end()
        prober.end()
    moving.wait_in_step()
    assert not application.trouble
    assert not application.unknown
    assert_equal(moving.source, moving.dsn, *TABLES)
    assert_exactly_once(application, moving.source, moving.dsn, "sqlite")
    prober.assert_saw(moving.state().epoch)
