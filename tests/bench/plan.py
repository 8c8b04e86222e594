"""What every scenario is given: how much of everything, the servers, and a place to say how far it is."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from tests.bench.servers import Servers


@dataclass(frozen=True)
class Plan:
    """One run of the harness; ``quick`` shows that it works, ``full`` adds what takes long."""

    servers: Servers
    runs: int
    quick: bool
    full: bool
    began: float = field(default_factory=time.perf_counter)

    @property
    def rows(self) -> int:
        """Rows of a measured copy."""
        return 50_000 if self.quick else 1_000_000

    @property
    def seconds(self) -> float:
        """How long a measured application writes."""
        return 2.0 if self.quick else 10.0

    def say(self, text: str) -> None:
        """A line of progress on standard error."""
        sys.stderr.write(f"{time.perf_counter() - self.began:7.1f} s  {text}\n")
        sys.stderr.flush()
