"""A switch asks for a full verification: young enough, and one that found both sides equal."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from operations.cutover.prechecks import Prechecks
from operations.verification.record import Place, Verified, keep_verified, prepare_record
from shared.control.fold import State
from shared.findings import Finding
from shared.log.embedded import EmbeddedLog
from shared.postgres.ledger import prepare
from shared.settings import Settings

HOUR = 3600.0


def _found(tmp_path: Path, dsn: str, within_hours: float | None) -> list[tuple[str, str]]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        checks = Prechecks(Settings(target=SecretStr(dsn), stream="app"), log, State())
        return [(one.level, one.code) for one in checks.verification(within_hours) if isinstance(one, Finding)]


def _verified(dsn: str, *, hours_ago: float, wrong_rows: int = 0) -> None:
    then = time.time() - hours_ago * HOUR
    with psycopg.connect(dsn, autocommit=True) as db:
        prepare(db, "app")
        prepare_record(db)
        keep_verified(db, "app", Verified(then, then, then, Place("i", 0, 1, 1, 1, 1), 1_000, wrong_rows))


def test_without_a_full_verification_a_switch_is_refused_unless_one_goes_without_it(
    tmp_path: Path, postgres_dsn: str
) -> None:
    assert _found(tmp_path, postgres_dsn, 24.0) == [("refuse", "never-verified")]
    assert _found(tmp_path, postgres_dsn, None) == [("warn", "never-verified")]


def test_one_that_is_older_than_was_asked_for_is_refused_and_goes_where_none_is_asked_for(
    tmp_path: Path, postgres_dsn: str
) -> None:
    _verified(postgres_dsn, hours_ago=3.0)
    assert _found(tmp_path, postgres_dsn, 2.0) == [("refuse", "old-verification")]
    assert _found(tmp_path, postgres_dsn, 4.0) == []
    assert _found(tmp_path, postgres_dsn, None) == []


@pytest.mark.parametrize("within_hours", [24.0, None])
def test_sides_that_are_known_to_differ_are_refused_whatever_was_asked_for(
    tmp_path: Path, postgres_dsn: str, within_hours: float | None
) -> None:
    _verified(postgres_dsn, hours_ago=0.1, wrong_rows=2)
    assert _found(tmp_path, postgres_dsn, within_hours) == [("refuse", "different")]
