"""What --dry-run says, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from operations.cutover.plan import show_plan
from shared.control.fold import State
from shared.settings import Settings

FORWARD = """\
Cutover to epoch 1: SQLite (/data/app.db) is closed, PostgreSQL (db:5432/app) becomes the primary.
  1. before     operator  checks all of the above again, runs the hook `before`, compares the keys that change
  2. hold       capture   SQLite's writers wait in their busy timeout; for 2.5 s at the most, then they go on
  3. drain      sink      applies the rest; PostgreSQL's ledger reaches the barrier
  4. verify     operator  compares the keys that changed last, both sides standing still
  5. prepare    sink      sequences past the data, fence off, capture triggers on: all in a transaction that is not committed yet
  6. fence      capture   triggers refuse writes in SQLite, in the transaction that holds the writers; no way back but forward from here
  7. open       sink      commits: PostgreSQL takes writes, and its changes flow to SQLite
  8. announce   operator  writes the env file, runs the hook `opened`
Until 6 anything that goes wrong lets the writers go on in SQLite; so does `switchback abort`, until 7 begins.
Back again: `switchback rollback`."""  # noqa: E501  (the operator's terminal is wide)


@pytest.fixture
def settings() -> Settings:
    dsn = SecretStr("postgresql://joe:secret@db:5432/app")
    return Settings(source=Path("/data/app.db"), target=dsn, stream="app", log="embedded:/tmp/log")


def test_the_steps_of_a_cutover(settings: Settings) -> None:
    assert show_plan(settings, State(), max_pause=2.5) == FORWARD


def test_the_steps_of_a_rollback_name_the_other_sides(settings: Settings) -> None:
    said = show_plan(settings, State(epoch=1), max_pause=5)
    assert said.startswith("Rollback to epoch 2: PostgreSQL (db:5432/app) is closed, SQLite (/data/app.db) becomes")
    assert "PostgreSQL's writers wait for a lock; for 5 s at the most" in said
    assert "triggers refuse writes in PostgreSQL" in said
    assert said.endswith("Back again: `switchback cutover`.")


def test_no_secret_is_in_it(settings: Settings) -> None:
    assert "secret" not in show_plan(settings, State(), max_pause=5)


@pytest.mark.parametrize("dsn", ["postgresql://u:my secret@h/db", "postgresql://h/db?secret=x", "dbname=\udcff"])
def test_a_target_that_cannot_be_read_is_not_shown(settings: Settings, dsn: str) -> None:
    said = show_plan(settings.model_copy(update={"target": SecretStr(dsn)}), State(), max_pause=5)
    assert "PostgreSQL (an address that cannot be read) becomes the primary" in said
    assert "secret" not in said
