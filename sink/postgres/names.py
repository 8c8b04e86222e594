"""Names in PostgreSQL: at most 63 bytes, longer ones are cut without a word; indexes share them with tables."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from shared.errors import BadInput
from shared.tables import Table

LONGEST = 63
_DIGEST = 8


def check_names(table: Table) -> None:
    """Raise BadInput for a table or a column that PostgreSQL would name otherwise."""
    where = f"table {table.name}"
    for name in (table.name, *table.names):
        if len(name.encode()) > LONGEST:
            what = f"the name is longer than PostgreSQL's {LONGEST} bytes: {name}"
            raise BadInput(what, where=where, remedy="Rename it, or leave the table out with exclude")
        if "\0" in name or not name:
            raise BadInput("PostgreSQL allows no such name", where=where, remedy="Rename it")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """That name, or one made from it, which fits and is not taken; always the same for the same arguments."""
    name, number = wanted, 0
    while len(name.encode()) > LONGEST or name in taken:
        digest = hashlib.sha256(f"{wanted}{number or ''}".encode()).hexdigest()[:_DIGEST]
        name = wanted.encode()[: LONGEST - _DIGEST - 1].decode(errors="ignore") + "_" + digest
        number += 1
    return name
