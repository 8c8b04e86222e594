"""The shop of the documentation goes through real cutovers and rollbacks: told by the env file, hooks beside it."""

from __future__ import annotations

import runpy
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from background import Background
from command import Command
from daemons import Migration, wait_until
from fix_migration import Begin
from fix_world import PATIENT
from operations.application.following import switchback_engine
from operations.telling.env_file import read_env_file

SHOP = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "examples" / "shop.py"))


class Seller(Background):
    """Sells until ended; ``sold`` are the receipts that are certain, with the side that took them."""

    def __init__(self, env_file: Path, url: str) -> None:
        super().__init__()
        self._following = switchback_engine(env_file, url=url)
        self.sold: list[tuple[str, str]] = []
        self.trouble: list[Exception] = []

    def run(self) -> None:
        try:
            while not self._end.wait(0.002):
                receipt = SHOP["sell_one"](self._following, 1)
                self.sold.append((receipt, self._following.engine.name))
        except Exception as error:  # noqa: BLE001  (any is a failure of the test)
            self.trouble.append(error)
        self._following.dispose()

    def sell_more(self) -> None:
        enough = len(self.sold) + 50
        wait_until("the shop has sold more", lambda: self.trouble or len(self.sold) >= enough)


@pytest.fixture
def shop(tmp_path: Path, begin: Begin, postgres_dsn: str) -> Iterator[Migration]:
    source = tmp_path / "shop.db"
    with closing(sqlite3.connect(source)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(SHOP["TABLES"] + "INSERT INTO stock VALUES (1, 'tea', 1000000);")
    (tmp_path / "hooks").mkdir()
    for phase in ("before", "opened", "aborted"):
        hook = tmp_path / "hooks" / phase
        hook.write_text(f'#!/bin/sh\necho "$SWITCHBACK_PHASE $SWITCHBACK_PRIMARY" >> {tmp_path}/told\n')
        hook.chmod(0o755)
    migration = begin(postgres_dsn, source=source)
    migration.start()
    migration.wait_in_step()
    yield migration
    assert "Traceback" not in migration.capture.output + migration.sink.output


def test_the_shop_sells_through_two_cutovers_and_their_rollbacks(shop: Migration, tmp_path: Path) -> None:
    told = {"env_file": str(tmp_path / "app.env"), "hooks": str(tmp_path / "hooks")}
    switchback = Command(tmp_path, **{**shop.settings, **told})
    seller = Seller(tmp_path / "app.env", f"sqlite:///{shop.source}")
    seller.start()
    seller.sell_more()
    for epoch, verb in enumerate(("cutover", "rollback", "cutover", "rollback"), start=1):
        wait_until("both sides have what was sold last", _both_have(shop, seller.sold[-1][0]))
        done = switchback(verb, "--unverified", *PATIENT)
        assert done.code == 0, done.out + done.errors
        assert read_env_file(tmp_path / "app.env")["SWITCHBACK_EPOCH"] == str(epoch)
        seller.sell_more()
    seller.end()
    shop.wait_in_step()
    assert not seller.trouble
    assert {side for _, side in seller.sold} == {"sqlite", "postgresql"}
    receipts = sorted(receipt for receipt, _ in seller.sold)
    with closing(sqlite3.connect(shop.source)) as db, psycopg.connect(shop.dsn) as pg:
        assert sorted(row[0] for row in db.execute("SELECT id FROM receipt")) == receipts
        assert sorted(row[0] for row in pg.execute("SELECT id FROM receipt")) == receipts
        left = db.execute("SELECT left_over FROM stock").fetchone()
        assert left == pg.execute("SELECT left_over FROM stock").fetchone() == (1_000_000 - len(receipts),)
    there, back = ["before sqlite", "opened postgres"], ["before postgres", "opened sqlite"]
    assert (tmp_path / "told").read_text().splitlines() == [*there, *back] * 2


def _both_have(shop: Migration, receipt: str) -> Callable[[], bool]:
    """A replica that is late, as may be on a busy machine, is in the way of a switch."""

    def both() -> bool:
        with closing(sqlite3.connect(shop.source, timeout=30)) as db, psycopg.connect(shop.dsn) as pg:
            here = db.execute("SELECT 1 FROM receipt WHERE id = ?", (receipt,)).fetchone()
            there = pg.execute("SELECT 1 FROM receipt WHERE id = %s", (receipt,)).fetchone()
        return here is not None and there is not None

    return both


def test_a_hook_that_says_no_stops_the_cutover_before_it_begins(shop: Migration, tmp_path: Path) -> None:
    (tmp_path / "hooks" / "before").write_text("#!/bin/sh\necho not today\nexit 1\n")
    switchback = Command(tmp_path, **{**shop.settings, "hooks": str(tmp_path / "hooks")})
    done = switchback("cutover", "--unverified")
    assert done.code == 2
    assert "not today" in done.errors
    assert "holding the writers" not in shop.capture.output
    assert not (tmp_path / "told").exists()


def test_a_switch_that_is_called_off_before_it_begins_is_told_as_given_up(shop: Migration, tmp_path: Path) -> None:
    """What the first hook prepared, say a maintenance page, would stay for ever."""
    switchback = Command(tmp_path, **{**shop.settings, "hooks": str(tmp_path / "hooks")})
    (tmp_path / "postponed").touch()
    process = switchback.start("cutover", "--unverified", "--postpone", str(tmp_path / "postponed"))
    assert process.stdout
    assert any("Ready" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert (tmp_path / "told").read_text().splitlines() == ["before sqlite", "aborted sqlite"]


def test_after_a_rehearsal_the_application_hears_that_all_is_as_before(shop: Migration, tmp_path: Path) -> None:
    switchback = Command(tmp_path, **{**shop.settings, "hooks": str(tmp_path / "hooks")})
    assert switchback("verify").code == 0
    done = switchback("rehearse")
    assert done.code == 0, done.out + done.errors
    assert (tmp_path / "told").read_text().splitlines() == ["before sqlite", "aborted sqlite"]


def test_a_reader_of_its_output_that_goes_away_does_not_stop_a_switch(shop: Migration, tmp_path: Path) -> None:
    """As `| grep -m1` does; the application is told in the end."""
    postponed = tmp_path / "postponed"
    postponed.touch()
    switchback = Command(tmp_path, **{**shop.settings, "env_file": str(tmp_path / "app.env")})
    process = switchback.start("cutover", "--unverified", "--postpone", str(postponed), *PATIENT)
    assert process.stdout
    assert any("Ready" in line for line in process.stdout)
    shop.sink.freeze()
    postponed.unlink()
    assert any("writers wait" in line for line in process.stdout)
    process.stdout.close()
    shop.sink.thaw()
    assert process.wait(60) == 0
    assert read_env_file(tmp_path / "app.env")["SWITCHBACK_EPOCH"] == "1"
