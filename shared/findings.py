"""What a look at a database found: something that must, should or may be attended to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Level = Literal["refuse", "warn", "note"]


class Finding(Struct, frozen=True):
    """``refuse`` means that replication cannot begin, ``warn`` that someone should decide, ``note`` that it is so.

    ``code`` is stable and short, for scripts and tests; ``what`` is one clause, ``where`` names the
    table, column or index, ``remedy`` is one sentence.
    """

    level: Level
    code: str
    what: str
    where: str = ""
    remedy: str = ""

    @property
    def details(self) -> dict[str, str]:
        """All but ``what``, for a line of a log; what is not said is left out."""
        named = {"code": self.code, "where": self.where, "remedy": self.remedy}
        return {name: value for name, value in named.items() if value}
