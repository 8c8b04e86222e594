"""How often each operation is done: the transactions of an ordinary day with all the odd ones among them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from operations.demo import work_odd, work_office, work_sales, work_traffic
from operations.demo.application import Operation

OPERATIONS: Mapping[str, tuple[int, Operation]] = {
    "track": (24, work_traffic.track),
    "visit": (12, work_traffic.visit),
    "forget_visits": (4, work_traffic.forget_visits),
    "measure": (4, work_traffic.measure),
    "create_lead": (5, work_sales.create_lead),
    "delete_lead": (4, work_sales.delete_lead),
    "move_lead": (8, work_sales.move_lead),
    "edit_lead": (6, work_sales.edit_lead),
    "write_note": (4, work_sales.write_note),
    "attach": (1, work_sales.attach),
    "send_mail": (4, work_sales.send_mail),
    "label": (3, work_sales.label),
    "transfer": (12, work_office.transfer),
    "log_in": (4, work_office.log_in),
    "swap_seats": (1, work_office.swap_seats),
    "configure": (3, work_office.configure),
    "rename": (1, work_office.rename),
    "bulk_update": (1, work_office.bulk_update),
    "clean_up": (2, work_office.clean_up),
    "displace": (3, work_odd.displace),
    "violate": (1, work_odd.violate),
    "abandon": (1, work_odd.abandoned(work_sales.create_lead)),
    "abandon_transfer": (1, work_odd.abandoned(work_office.transfer)),
    "abandon_half": (1, work_odd.half_abandoned(work_sales.delete_lead, work_office.transfer)),
    "abandon_displaced": (1, work_odd.half_abandoned(work_odd.displace, work_traffic.track)),
}
"""Weight and operation by kind."""

_KINDS = tuple(OPERATIONS)
_WEIGHTS = tuple(weight for weight, _ in OPERATIONS.values())


def draw_kinds(draw: Random, count: int) -> list[str]:
    """``count`` kinds of transactions, by their weights."""
    return draw.choices(_KINDS, _WEIGHTS, k=count)
