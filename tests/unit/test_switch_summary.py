"""What `status` says of a change of primary that is under way, and what it advises."""

from __future__ import annotations

import pytest

from attempts import ABORTED, ALL_CLOSED, ASKED, HELD, OPENING, after
from operations.cutover.summary import UNKNOWN, describe, describe_databases
from shared.control.standing import Role, Standing


def test_while_both_sides_are_closed_there_are_two_ways_on() -> None:
    found = describe(after(*ALL_CLOSED), 1_000)
    assert found.closed
    assert "`switchback resume` sees it through, `switchback abort` goes back" in found.remedy


def test_once_the_new_primary_is_being_opened_only_resume_is_offered() -> None:
    found = describe(after(*ALL_CLOSED, OPENING), 1_000)
    assert "switchback resume" in found.remedy
    assert "abort" not in found.remedy


def test_after_an_abort_behind_the_fence_capture_is_what_is_needed() -> None:
    found = describe(after(*ALL_CLOSED, ABORTED), 1_000)
    assert found.remedy == "start capture, if it does not run"


def test_before_the_fence_nothing_needs_to_be_done() -> None:
    assert describe(after(ASKED, HELD), 1_000).remedy == ""


def _standing(role: Role, epoch: int) -> Standing:
    return Standing(epoch, role, "a")


PRIMARY, REPLICA = _standing("primary", 1), _standing("replica", 1)


@pytest.mark.parametrize(
    ("sqlite", "postgres", "primary", "epoch"),
    [
        (_standing("primary", 0), _standing("replica", 0), "sqlite", 0),
        (_standing("primary", 0), None, "sqlite", 0),
        (REPLICA, PRIMARY, "postgres", 1),
        (None, PRIMARY, "postgres", 1),
        (_standing("primary", 2), _standing("replica", 2), "sqlite", 2),
        (_standing("primary", 2), None, "sqlite", 2),
    ],
)
def test_without_the_log_the_one_that_says_so_is_the_primary(
    sqlite: Standing | None, postgres: Standing | None, primary: str, epoch: int
) -> None:
    found = describe_databases(sqlite, postgres)
    assert (found.primary, found.epoch, found.by_databases) == (primary, epoch, True)


@pytest.mark.parametrize(
    ("sqlite", "postgres", "says"),
    [
        (None, None, "neither the log nor a database can be read"),
        (PRIMARY, PRIMARY, "both databases say that they are the primary"),
        (REPLICA, None, "SQLite is not the primary, and PostgreSQL does not say whether it is"),
        (None, REPLICA, "PostgreSQL is not the primary, and SQLite does not say whether it is"),
        (
            _standing("primary", 0),
            _standing("replica", 2),
            "SQLite says that it is the primary in epoch 0, and PostgreSQL has seen epoch 2",
        ),
    ],
)
def test_what_neither_log_nor_databases_tell_is_not_known(
    sqlite: Standing | None, postgres: Standing | None, says: str
) -> None:
    found = describe_databases(sqlite, postgres)
    assert (found.primary, found.epoch, found.closed) == (UNKNOWN, 0, False)
    assert found.waiting == says
    assert found.remedy == "make the log readable"


def test_without_the_log_two_closed_databases_are_a_switch_half_way() -> None:
    found = describe_databases(REPLICA, _standing("replica", 0))
    assert (found.primary, found.closed) == (UNKNOWN, True)
    assert found.waiting == "neither database takes writes: a switch is half-way"
    assert found.remedy == "make the log readable; then `switchback resume` sees it through"
