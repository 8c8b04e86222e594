"""What a cutover or rollback would do, step by step: the text of ``--dry-run``."""

from __future__ import annotations

import psycopg
from psycopg import conninfo

from operations.wording import side_name
from shared.control.fold import State, side_of
from shared.settings import Settings

_STEPS = """\
{verb} to epoch {epoch}: {old} ({old_place}) is closed, {new} ({new_place}) becomes the primary.
  1. before     operator  checks all of the above again, runs the hook `before`, compares the keys that change
  2. hold       capture   {hold}; for {pause:g} s at the most, then they go on
  3. drain      sink      applies the rest; {new}'s ledger reaches the barrier
  4. verify     operator  compares the keys that changed last, both sides standing still
  5. prepare    sink      sequences past the data, {open}: all in a transaction that is not committed yet
  6. fence      capture   {fence}, in the transaction that holds the writers; no way back but forward from here
  7. open       sink      commits: {new} takes writes, and its changes flow to {old}
  8. announce   operator  writes the env file, runs the hook `opened`
Until 6 anything that goes wrong lets the writers go on in {old}; so does `switchback abort`, until 7 begins.
Back again: `switchback {back}`."""


def show_plan(settings: Settings, state: State, *, max_pause: float) -> str:
    """The text; no secret is in it."""
    epoch = state.epoch + 1
    forward = side_of(epoch) == "postgres"
    places = {"sqlite": str(settings.source), "postgres": _place(settings.target.get_secret_value())}
    words = {
        "hold": "SQLite's writers wait in their busy timeout" if forward else "PostgreSQL's writers wait for a lock",
        "fence": "triggers refuse writes in SQLite" if forward else "triggers refuse writes in PostgreSQL",
        "open": "fence off, capture triggers on" if forward else "fence down, AUTOINCREMENT too",
        "verb": "Cutover" if forward else "Rollback",
        "back": "rollback" if forward else "cutover",
    }
    return _STEPS.format(
        epoch=epoch,
        old=side_name(state.primary),
        new=side_name(state.replica),
        old_place=places[state.primary],
        new_place=places[state.replica],
        pause=max_pause,
        **words,
    )


def _place(dsn: str) -> str:
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except (psycopg.Error, UnicodeError):  # what is wrong with it would be quoted
        return "an address that cannot be read"
    return f"{given.get('host', 'local')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
