"""An application in small that goes on through every cutover and rollback: a shop that sells and keeps receipts.

    python docs/examples/shop.py .env sqlite:////srv/shop.db --sales 1000

It is started once.  Each sale is one transaction, and it is printed only when its COMMIT has come back.
"""  # noqa: INP001  (a script, not a package)

from __future__ import annotations

import argparse
import sys
import uuid

from sqlalchemy import Connection, text

from operations.application.following import Following, switchback_engine

TABLES = """
CREATE TABLE stock (id INTEGER PRIMARY KEY, name TEXT NOT NULL, left_over INTEGER NOT NULL);
CREATE TABLE receipt (id TEXT PRIMARY KEY, stock_id INTEGER NOT NULL REFERENCES stock (id));
"""


def sell(db: Connection, article: int, receipt: str) -> int:
    """One unit of work; may be called again from the start, so it changes nothing but the database."""
    db.execute(text("UPDATE stock SET left_over = left_over - 1 WHERE id = :id"), {"id": article})
    db.execute(text("INSERT INTO receipt (id, stock_id) VALUES (:id, :stock)"), {"id": receipt, "stock": article})
    return int(db.execute(text("SELECT left_over FROM stock WHERE id = :id"), {"id": article}).scalar_one())


def sell_one(following: Following, article: int) -> str:
    """Sell, wherever the primary is; returns the receipt, which is then certain."""
    receipt = uuid.uuid4().hex
    following.run(lambda db: sell(db, article, receipt))
    return receipt


def main() -> None:
    """Sell until all is sold."""
    parser = argparse.ArgumentParser(description="A shop that follows the primary")
    parser.add_argument("env_file", help="the file that Switchback keeps (setting env_file)")
    parser.add_argument("url", help="where the primary is until that file exists")
    parser.add_argument("--sales", type=int, default=1000)
    chosen = parser.parse_args()
    following = switchback_engine(chosen.env_file, url=chosen.url)
    for _ in range(chosen.sales):
        receipt = sell_one(following, article=1)
        sys.stdout.write(f"{receipt} {following.engine.name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
