"""What can go wrong, classed by what the caller should do about it.

    SwitchbackError
    ├── BadInput          the operator's words or files are wrong: one line, exit code 2
    │   ├── Refused           a server does not take this password: passes by itself while it is being changed
    │   └── NoLog             the stream's log was asked for, and nobody has made it yet
    ├── Retry             a server is away or busy: try again from the last confirmed position
    ├── Stop              going on would be wrong: end this program and say what to do
    │   ├── LeaseLost         another writer or sink has taken over
    │   ├── SpineBroken       the log ends before, or begins after, what the ledger holds
    │   ├── SourceRestored    the source file is not the one that was captured, or went back in time
    │   └── SchemaChanged     the source's tables are no longer those that the replica was made from
    └── Hold              this change cannot be applied: the stream waits for a repair

Every error says what happened, where, and what to do: ``what`` is one clause, ``where`` names the
table, key or position (never a value that may be secret), ``remedy`` is one sentence.
"""

from __future__ import annotations

BUG_EXIT_CODE = 70
"""What a program ends with where something other than these came up."""


class SwitchbackError(Exception):
    """The root of every error that this product raises on purpose."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{self.what}{place}{remedy}"

    @property
    def label(self) -> str:
        """The class name in the words of metrics and logs, e.g. ``source_restored``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class BadInput(SwitchbackError):
    """A missing file, a wrong DSN, a misspelt setting: the operator must change something."""

    exit_code = 2


class Refused(BadInput):
    """The password is not the one that the server knows; a daemon for which it was right once looks at it again."""


class NoLog(BadInput):
    """There is no log under that address for this stream; asking for it has made none."""

    def __init__(self, where: str) -> None:
        super().__init__("there is no log yet", where=where, remedy="`switchback run` makes it; see --stream and --log")


class Retry(SwitchbackError):
    """Something that is likely to pass by itself: a server that is away, a lock that is held."""


class Stop(SwitchbackError):
    """Going on would risk a lost or doubled write: a supervisor must not simply start it again."""

    exit_code = 3


class LeaseLost(Stop):
    """Another process holds the lease, or the fence token, that this one worked under."""


class SpineBroken(Stop):
    """The spine no longer holds what follows the last group applied."""


class SourceRestored(Stop):
    """The source database is another incarnation, or an older state, of what was captured."""


class SchemaChanged(Stop):
    """A migration changed the source's tables while it was being replicated."""


class Hold(SwitchbackError):
    """One change that the replica cannot take as it is: a supervisor must not simply start it again."""

    exit_code = 3
