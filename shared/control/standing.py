"""What a database says of itself: its role, and which attempt gave it that role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["primary", "replica"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Changed only in the transaction that puts a fence up or takes it down, so it is never wrong.

    ``epoch`` is the one that this database last heard of, ``attempt`` the one that closed or opened it
    ("" where none ever did).
    """

    epoch: int
    role: Role
    attempt: str
