"""A shop's tables on a real SQLite and a real PostgreSQL, with our fences, which a test moves by hand."""

from __future__ import annotations

import runpy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from operations.telling.env_file import write_env_file
from shared.postgres import fence as postgres_fence
from shared.postgres.reverse import install
from shared.sqlite import fence as sqlite_fence
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, reading, writing

SHOP = Path(__file__).parents[2] / "docs" / "examples" / "shop.py"
TABLES = ("stock", "receipt")


class TwoSides:
    """SQLite is the primary at first; ``env_file`` is not there yet."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.path, self.dsn, self.env_file = folder / "shop.db", dsn, folder / "app.env"
        ddl = str(runpy.run_path(str(SHOP))["TABLES"])
        with closing(sqlite3.connect(self.path)) as application:
            application.execute("PRAGMA journal_mode=WAL")
            application.executescript(ddl + "INSERT INTO stock VALUES (1, 'tea', 1000000);")
        with closing(connect(self.path)) as db, closing(psycopg.connect(dsn, autocommit=True)) as pg:
            pg.execute(ddl.encode())
            pg.execute("INSERT INTO stock VALUES (1, 'tea', 1000000)")
            with reading(db):
                schema = read_schema(db)
            pg.execute("CREATE SCHEMA switchback")
            with pg.transaction():
                install(pg, "shop", schema)

    @property
    def sqlite_url(self) -> str:
        return f"sqlite:///{self.path}"

    def close_sqlite(self) -> None:
        with closing(connect(self.path)) as db, writing(db):
            sqlite_fence.put_up(db, TABLES)

    def open_sqlite(self) -> None:
        with closing(connect(self.path)) as db, writing(db):
            sqlite_fence.take_down(db)

    def switch_postgres(self, *, primary: bool) -> None:
        with psycopg.connect(self.dsn) as pg:
            postgres_fence.switch(pg, TABLES, primary=primary)

    def tell(self, side: str, epoch: int) -> None:
        url = self.sqlite_url if side == "sqlite" else self.dsn
        write_env_file(self.env_file, {"DATABASE_URL": url, "SWITCHBACK_PRIMARY": side, "SWITCHBACK_EPOCH": str(epoch)})

    def to_postgres(self, epoch: int) -> None:
        self.close_sqlite()
        self.switch_postgres(primary=True)
        self.tell("postgres", epoch)

    def to_sqlite(self, epoch: int) -> None:
        self.switch_postgres(primary=False)
        self.open_sqlite()
        self.tell("sqlite", epoch)

    def receipts(self) -> list[str]:
        """All of them, from both sides: nothing replicates here."""
        return [*self.sqlite_receipts(), *self.postgres_receipts()]

    def sqlite_receipts(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as db:
            return [row[0] for row in db.execute("SELECT id FROM receipt").fetchall()]

    def postgres_receipts(self) -> list[str]:
        with psycopg.connect(self.dsn) as pg:
            return [row[0] for row in pg.execute("SELECT id FROM receipt").fetchall()]

    def pg(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn)
