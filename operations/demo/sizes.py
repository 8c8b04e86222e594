"""How many rows each demo table gets, for a total that is met exactly.

Web traffic is most of it, as in real life; ``tracking_events`` takes what the others leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST = 1_000

FIXED = {"roles": 5, "ab_tests": 6, "ab_variants": 15, "configuration": 40, "tags": 24}

SHARES = {  # rows of a thousand
    "users": 5,
    "user_roles": 7,
    "login_sessions": 10,
    "credit_accounts": 5,
    "credit_transfers": 20,
    "companies": 15,
    "contacts": 40,
    "leads": 40,
    "lead_system_details": 40,
    "lead_status_changes": 40,
    "lead_tags": 50,
    "tasks": 20,
    "notes": 40,
    "emails": 30,
    "attachments": 3,
    "visitor_sessions": 100,
    "page_timings": 50,
    "ab_assignments": 40,
    "audit_log": 50,
}


def share_out(rows: int) -> Mapping[str, int]:
    """Rows by table, ``rows`` in all; BadInput under ``SMALLEST``."""
    if rows < SMALLEST:
        raise BadInput(f"a demo database of {rows} rows is too small", remedy=f"Ask for {SMALLEST} rows or more.")
    sizes = FIXED | {table: rows * share // 1000 for table, share in SHARES.items()}
    return sizes | {"tracking_events": rows - sum(sizes.values())}
