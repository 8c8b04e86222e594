"""The application as it has to be when the primary may change: it writes where writing is allowed.

A transaction that meets the fence was refused as a whole, so it is safe to try it again on the other side; that
is all an application must do.  (One with several servers would read the env file or ``/primary`` instead.)
"""

# ruff: noqa: D102  see operations.demo.target

from __future__ import annotations

from collections.abc import Sequence

from operations.demo.target import Refused, Row, Target, open_target

FENCE = "fence"
"""The reason of a refusal by the fence of a database that is not the primary."""


class FollowingTarget:
    """Two databases, of which one takes writes."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._targets = [open_target(address) for address in addresses]
        self._at = 0

    @property
    def _now(self) -> Target:
        return self._targets[self._at]

    @property
    def replaces(self) -> bool:
        return self._now.replaces

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        try:
            return self._now.run(sql, values)
        except Refused as refusal:
            raise self._told(refusal) from refusal

    def begin(self) -> None:
        try:
            self._now.begin()
        except Refused as refusal:
            raise self._told(refusal) from refusal

    def commit(self) -> None:
        self._now.commit()

    def roll_back(self) -> None:
        self._now.roll_back()

    def follow(self) -> None:
        """From now on the other side."""
        self._at = (self._at + 1) % len(self._targets)

    def reconnect_if_lost(self) -> bool:
        return self._now.reconnect_if_lost()

    def close(self) -> None:
        for target in self._targets:
            target.close()

    @staticmethod
    def _told(refusal: Refused) -> Refused:
        return Refused(FENCE) if "switchback:" in str(refusal) else refusal
