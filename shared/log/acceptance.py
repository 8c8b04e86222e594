"""Which records of the spine count.  Pure: a fold over headers, the same for every reader.

A broker takes whatever it is sent: the records of a writer that was deposed an hour ago, of one that
died half-way through a group, of one that sent twice because an acknowledgement got lost.  No reader
may act on those, and all readers must agree.  So each record is judged by what came before it alone:

* A *claim* with a lease above every earlier one is accepted and deposes the writer before it; the
  first claim of a lease wins.
* A frame counts if it comes from the writer whose claim was accepted last, carries the next group
  number, and is the next frame of that group.  A group counts with its last frame.
* Everything else is void, with a reason, and leaves the state as it was.

A claim ends a group that was half written: its frames, though accepted one by one, came to nothing
(``Judgement.abandons``), and the new writer gives its number to another group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.groups import Header, Position


@dataclass(frozen=True, slots=True)
class Accepted:
    """The state after some prefix of the spine; ``writer`` is "" where a ledger does not know it."""

    lease: int = 0
    number: int = 0
    writer: str = ""
    frames: int = 0  # frames of group number + 1 so far

    @classmethod
    def after(cls, position: Position) -> Accepted:
        """The state right after that group's last frame."""
        return cls(position.lease, position.number)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a record means: the state after it, and why it is void ("" where it is not)."""

    state: Accepted
    void: str = ""
    abandons: bool = False


def judge(state: Accepted, header: Header, stream: str) -> Judgement:
    """Judge one record of the stream's spine."""
    if header.stream != stream:
        return Judgement(state, f"belongs to stream {header.stream}")
    if header.kind == "claim":
        return _judge_claim(state, header)
    reason = _void(state, header)
    if reason:
        return Judgement(state, reason)
    writer = state.writer or header.writer
    if header.last:
        return Judgement(Accepted(state.lease, header.number, writer))
    return Judgement(replace(state, writer=writer, frames=header.frame + 1))


def _judge_claim(state: Accepted, header: Header) -> Judgement:
    if header.lease <= state.lease:
        return Judgement(state, f"lease {header.lease} is not above {state.lease}")
    claimed = Accepted(header.lease, state.number, header.writer)
    return Judgement(claimed, abandons=state.frames > 0)


def _void(state: Accepted, header: Header) -> str:
    if header.lease < state.lease:
        return f"lease {header.lease} was deposed by lease {state.lease}"
    if header.lease > state.lease:
        return f"lease {header.lease} was never claimed"
    if state.writer and header.writer != state.writer:
        return f"lease {header.lease} belongs to another writer"
    if header.number <= state.number:
        return f"group {header.number} is there already"
    if header.number > state.number + 1:
        return f"group {header.number} is out of turn after {state.number}"
    if header.frame < state.frames:
        return f"frame {header.frame} is there already"
    if header.frame > state.frames:
        return f"frame {header.frame} is out of turn after {state.frames - 1}"
    return ""
