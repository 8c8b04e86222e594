"""Databases that other people made, copied and changed: every row the same on both sides."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from inprocess import InProcess

DATA = Path(__file__).parents[2].parent / "shared" / "data"
TYPES = {
    "chinook": {
        "Invoice.InvoiceDate": "timestamp without time zone",
        "Invoice.Total": "numeric",
        "Track.Bytes": "bigint",
    },
    "northwind": {
        "Orders.OrderDate": "date",
        "Categories.Picture": "bytea",
        "Order Details.Discount": "double precision",
    },
    "sakila": {"payment.amount": "numeric", "rental.return_date": "timestamp without time zone", "film.rating": "text"},
}
CHANGES = {
    "chinook": "UPDATE Track SET UnitPrice = UnitPrice + 1, Composer = NULL WHERE TrackId % 7 = 0;"
    "DELETE FROM PlaylistTrack WHERE TrackId % 5 = 0; UPDATE Invoice SET InvoiceDate = '2030-01-01 10:00:00.5';",
    "northwind": "UPDATE [Order Details] SET Discount = 0.1, Quantity = Quantity * 2; DELETE FROM Shippers;"
    "INSERT INTO Customers (CustomerID, CompanyName) VALUES ('NEW', 'tab\there');",
    "sakila": "UPDATE film SET title = lower(title) WHERE film_id < 200; DELETE FROM payment WHERE payment_id % 3 = 0;"
    "UPDATE rental SET return_date = NULL WHERE rental_id % 11 = 0; UPDATE actor SET first_name = 'Joe';",
}


@pytest.fixture(params=sorted(TYPES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pipeline(name: str, tmp_path: Path, postgres_dsn: str) -> Iterator[InProcess]:
    given = DATA / f"{name}.db"
    if not given.exists():
        pytest.skip("the databases are not part of the repository and not beside it")
    shutil.copyfile(given, tmp_path / "app.db")
    with closing(InProcess(tmp_path / "app.db", postgres_dsn, chunk_rows=3_000)) as made:
        yield made


def test_a_database_of_other_people_is_copied_and_followed(pipeline: InProcess, name: str, postgres_dsn: str) -> None:
    pipeline.copy()
    assert pipeline.differences() == []
    with psycopg.connect(postgres_dsn) as db:
        for column, expected in TYPES[name].items():
            table, _, field = column.partition(".")
            found = db.execute(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = to_regclass(%s) AND attname = %s",
                (f'"{table}"', field),
            )
            assert (column, found.fetchone()) == (column, (expected,))
    with closing(sqlite3.connect(pipeline.path)) as app:
        app.executescript(CHANGES[name])
    pipeline.follow()
    assert pipeline.differences() == []


def test_nothing_of_their_schemas_is_left_out_unsaid(pipeline: InProcess, name: str) -> None:
    pipeline.copy()
    assert {finding.code for finding in pipeline.replica.findings} <= {"column-widened"}
