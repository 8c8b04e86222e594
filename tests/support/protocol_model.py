"""A small executable model of the change of epoch: two databases, the control stream, and who acts on them.

The control stream is judged by the product's own fold.  Around it stand, in a few lines each, the steps of
capture (on database A, the old primary), of the sink (on B, the new one), of the operator and of the writers, as
in ``capture.closing`` and ``sink.opening``; every step is one transaction or one record.  Each program knows only
the part of the stream that it has read, may die between any two steps and be started anew, and may be frozen
while a second instance of it works.  ``explore`` visits every state that any order of all this can reach.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from shared.control import records
from shared.control.fold import Attempt, State, judge
from shared.control.records import Drained, Fenced, Opening

Log = tuple[tuple[str, int], ...]
"""Name of the record and number of the attempt, in their order."""


@cache
def fold(log: Log) -> State:
    """The state after those records, by the product's own rules."""
    if not log:
        return State()
    return judge(fold(log[:-1]), _record(*log[-1])).state


def _void(log: Log, name: str, attempt: int) -> bool:
    return bool(judge(fold(log), _record(name, attempt)).void)


@cache
def _record(name: str, attempt: int) -> records.Record:
    given: dict[str, object] = {"by": "", "at_ms": 0, "attempt": str(attempt)}
    more: dict[str, dict[str, object]] = {
        "Asked": {"epoch": 1, "max_pause_ms": 1},
        "Held": {"lease": 1, "number": 1, "offset": 1},
        "Aborted": {"reason": "some"},
    }
    made: records.Record = getattr(records, name)(**given, **more.get(name, {}))
    return made


class Program(NamedTuple):
    """An instance of capture or sink: where it stands, how much of the stream it knows, what it works on."""

    name: int
    at: str = "start"
    seen: int = 0
    attempt: int = 0
    saw: int = 0  # what the database said of itself when this program looked


_IDLE = Program(0, "idle")


@dataclass(frozen=True)
class World:
    """Everything there is.  Writes are counted: A has ``written``, the spine ``published``, B ``applied`` of them."""

    log: Log = ()
    fenced: int = 0  # the attempt that closed A, 0 while it is open
    held: int = 0  # the instance of capture that holds A's writers
    written: int = 0
    published: int = 0
    barriers: tuple[tuple[int, int], ...] = ()
    applied: int = 0
    opened: int = 0  # the attempt that opened B, 0 while it is closed
    captures: tuple[Program, ...] = (Program(1),)
    sinks: tuple[Program, ...] = (Program(1),)
    prepared: int = 0  # the instance of the sink whose transaction is open on B
    operator: Program = _IDLE
    deaths: int = 0
    freezes: int = 0

    @property
    def good(self) -> bool:
        """Exactly one side takes writes, nothing is under way, and everybody knows."""
        state = fold(self.log)
        if state.attempt or self.held:
            return False
        return (not self.fenced and not self.opened) if state.epoch == 0 else bool(self.fenced and self.opened)


class Limits(NamedTuple):
    """How much may happen besides what must."""

    writes: int = 1
    attempts: int = 1
    deaths: int = 1
    freezes: int = 1
    aborts: int = 1


def _of(program: Program, world: World) -> Attempt | None:
    """The attempt under way, as far as this program knows."""
    return fold(world.log[: program.seen]).attempt


def _says(world: World, program: Program, name: str, attempt: int) -> tuple[World, Program, bool]:
    """The world with one more record, the program having read up to it, and whether it counts."""
    void = _void(world.log, name, attempt)
    log = (*world.log, (name, attempt)) if not void else world.log  # a void record changes nothing for anybody
    return replace(world, log=log), program._replace(seen=len(log)), not void


def _with_capture(world: World, program: Program) -> World:
    mine = tuple(program if other.name == program.name else other for other in world.captures)
    return replace(world, captures=mine)


def _with_sink(world: World, program: Program) -> World:
    return replace(world, sinks=tuple(program if other.name == program.name else other for other in world.sinks))


def _capture_steps(world: World, me: Program) -> Iterator[World]:  # noqa: C901, PLR0912, PLR0915  (a table of steps)
    """capture.closing, one step at a time."""
    newest = me.name == max(other.name for other in world.captures)
    attempt = _of(me, world)
    number = int(attempt.id) if attempt else 0
    match me.at:
        case "start":
            yield _with_capture(world, me._replace(at="read", saw=world.fenced))
        case "read":
            yield _with_capture(world, me._replace(at="settle", seen=len(world.log)))
        case "settle":
            yield from _settle(world, me, attempt)
        case "work":
            if world.fenced and not world.held:  # each read looks at the role
                yield _with_capture(world, me._replace(at="start"))
                return
            if newest and not world.held and world.published < world.written:
                yield replace(world, published=world.published + 1)
            if attempt and (attempt.held or attempt.aborted):
                yield _with_capture(world, me._replace(at="give up", attempt=number))
            elif attempt and not world.held:
                held = replace(world, held=me.name) if newest else world
                yield _with_capture(held, me._replace(at="held" if newest else "gone", attempt=number))
                yield _with_capture(world, me._replace(at="give up", attempt=number))  # patience is over
        case "held":
            rest = replace(world, published=world.written, barriers=(*world.barriers, (me.attempt, world.written)))
            yield _with_capture(rest, me._replace(at="say held"))
        case "say held":
            said, now, counts = _says(world, me, "Held", me.attempt)
            yield _with_capture(said, now._replace(at="wait" if counts else "let go"))
        case "wait":
            if attempt and number == me.attempt and attempt.may_fence:
                yield _with_capture(world, me._replace(at="fence"))
            yield _with_capture(world, me._replace(at="let go"))  # the deadline may pass at any time
        case "fence":
            yield _with_capture(replace(world, fenced=me.attempt, held=0), me._replace(at="say fenced"))
        case "say fenced":
            said, now, _ = _says(world, me, "Fenced", me.attempt)
            closed = _stays_closed(fold(said.log), me.attempt)
            yield _with_capture(said, now._replace(at="await" if closed else "unfence"))
        case "await":
            if attempt is None or number != me.attempt:
                yield _with_capture(world, me._replace(at="start"))
            elif attempt.aborted:
                yield _with_capture(world, me._replace(at="unfence"))
        case "unfence":
            down = replace(world, fenced=0) if world.fenced == me.attempt else world
            yield _with_capture(down, me._replace(at="say let go"))
        case "let go":
            free = replace(world, held=0) if world.held == me.name else world
            yield _with_capture(free, me._replace(at="give up"))
        case "give up":
            said, now, _ = _says(world, me, "Aborted", me.attempt)
            yield _with_capture(said, now._replace(at="say let go"))
        case "say let go":
            said, now, _ = _says(world, me, "LetGo", me.attempt)
            yield _with_capture(said, now._replace(at="work", attempt=0))


def _stays_closed(state: State, number: int) -> bool:
    if state.attempt is None or state.attempt.id != str(number):
        return state.epoch == 1
    return state.attempt.may_open


def _may_open(state: State, number: int) -> bool:
    current = state.attempt
    return current is not None and current.id == str(number) and current.has(Opening)


def _settle(world: World, me: Program, attempt: Attempt | None) -> Iterator[World]:
    state = fold(world.log[: me.seen])
    if state.epoch == 1:
        yield _with_capture(world, me._replace(at="gone"))  # it captures from B now
    elif not me.saw:
        if world.fenced:
            yield _with_capture(world, me._replace(at="start"))
        elif attempt:
            yield _with_capture(world, me._replace(at="give up", attempt=int(attempt.id)))
        elif not world.held:  # its lease is a write to A
            yield _with_capture(world, me._replace(at="work"))
    elif attempt and int(attempt.id) == me.saw:
        after = "await" if attempt.has(Fenced) else "unfence" if attempt.aborted else "say fenced"
        yield _with_capture(world, me._replace(at=after, attempt=me.saw))
    elif str(me.saw) in state.given_up:  # any other fence is none that this log knows of
        down = replace(world, fenced=0) if world.fenced == me.saw else world
        yield _with_capture(down, me._replace(at="start"))


def _sink_steps(world: World, me: Program) -> Iterator[World]:  # noqa: C901, PLR0912, PLR0915  (a table of steps)
    """sink.opening, one step at a time; only the newest instance has the ledger's token."""
    newest = me.name == max(other.name for other in world.sinks)
    attempt = _of(me, world)
    number = int(attempt.id) if attempt else 0
    match me.at:
        case "start":
            if world.prepared in (0, me.name):  # the token stands in a row that a prepared transaction has locked
                yield _with_sink(world, me._replace(at="read", saw=world.opened))
        case "read":
            yield _with_sink(world, me._replace(at="settle", seen=len(world.log)))
        case "settle":
            if fold(world.log[: me.seen]).epoch == 1:
                yield _with_sink(world, me._replace(at="gone"))
            elif not me.saw:
                yield _with_sink(world, me._replace(at="apply"))
            elif attempt and attempt.has(Opening):
                yield _with_sink(world, me._replace(at="say opened", attempt=number))
        case "apply":
            if newest and world.applied < world.published:
                yield replace(world, applied=world.applied + 1)
            barrier = dict(world.barriers).get(number)
            drained = barrier is not None and world.applied >= barrier
            if drained and newest and attempt and attempt.held and not attempt.aborted:
                yield _with_sink(world, me._replace(at="say drained", attempt=number))
        case "say drained":
            said, now, _ = _says(world, me, "Drained", me.attempt)
            yield _with_sink(said, now._replace(at="prepare"))
        case "prepare":
            if attempt and attempt.has(Fenced):
                yield _with_sink(world, me._replace(at="await"))
            elif newest:
                yield _with_sink(replace(world, prepared=me.name), me._replace(at="say prepared"))
            yield _with_sink(world, me._replace(at="say aborted"))  # the lock was not to be had
        case "say aborted":
            said, now, _ = _says(world, me, "Aborted", me.attempt)
            yield _with_sink(said, now._replace(at="start"))
        case "say prepared":
            said, now, _ = _says(world, me, "Prepared", me.attempt)
            yield _with_sink(said, now._replace(at="await"))
        case "await":
            if attempt is None or number != me.attempt or attempt.aborted:
                yield _with_sink(world, me._replace(at="unprepare"))
            elif attempt.may_open:
                yield _with_sink(world, me._replace(at="open" if attempt.has(Opening) else "say opening"))
        case "say opening":
            said, now, _ = _says(world, me, "Opening", me.attempt)
            may = _may_open(fold(said.log), me.attempt)
            yield _with_sink(said, now._replace(at="open" if may else "unprepare"))
        case "unprepare":
            free = replace(world, prepared=0) if world.prepared == me.name else world
            yield _with_sink(free, me._replace(at="apply", attempt=0))
        case "open":
            if world.prepared == me.name or (newest and not world.prepared):
                yield _with_sink(replace(world, opened=me.attempt, prepared=0), me._replace(at="say opened"))
            elif not newest:
                yield _with_sink(world, me._replace(at="gone"))
        case "say opened":
            said, now, _ = _says(world, me, "Opened", me.attempt)
            yield _with_sink(said, now._replace(at="gone"))


def _operator_steps(world: World, limits: Limits) -> Iterator[World]:
    me = world.operator
    asked = sum(name == "Asked" for name, _ in world.log)
    if me.at == "idle" and asked < limits.attempts:
        said, now, counts = _says(world, me, "Asked", asked + 1)
        if counts:
            yield replace(said, operator=now._replace(at="ask", attempt=asked + 1))
    attempt = _of(me, world)
    if me.at == "ask":
        if attempt is None or int(attempt.id) != me.attempt or attempt.aborted:
            yield replace(world, operator=me._replace(at="idle"))
        elif attempt.has(Drained):
            said, now, _ = _says(world, me, "Verified", me.attempt)
            yield replace(said, operator=now._replace(at="idle"))
    if sum(name == "Aborted" for name, _ in world.log) < limits.aborts and (current := fold(world.log).attempt):
        said, _, counts = _says(world, me, "Aborted", int(current.id))
        if counts:
            yield said


def _readings(world: World) -> Iterator[World]:
    """Everybody reads on, in their own time."""
    for me in world.captures:
        if me.seen < len(world.log) and me.at in ("work", "wait", "await"):
            yield _with_capture(world, me._replace(seen=me.seen + 1))
    for me in world.sinks:
        if me.seen < len(world.log) and me.at in ("apply", "await"):
            yield _with_sink(world, me._replace(seen=me.seen + 1))
    if world.operator.seen < len(world.log):
        yield replace(world, operator=world.operator._replace(seen=world.operator.seen + 1))


def steps(world: World, limits: Limits) -> Iterator[World]:
    """What may happen next, all programs being well."""
    if world.written < limits.writes and not world.fenced and not world.held:
        yield replace(world, written=world.written + 1)
    yield from _readings(world)
    for me in world.captures:
        yield from _capture_steps(world, me)
    for me in world.sinks:
        yield from _sink_steps(world, me)
    yield from _operator_steps(world, limits)


def faults(world: World, limits: Limits) -> Iterator[World]:
    """What may go wrong next."""
    if world.deaths < limits.deaths:
        dead = replace(world, deaths=world.deaths + 1)
        for me in world.captures:
            free = replace(dead, held=0) if world.held == me.name else dead
            yield _with_capture(free, Program(me.name))
        for me in world.sinks:
            free = replace(dead, prepared=0) if world.prepared == me.name else dead
            yield _with_sink(free, Program(me.name))
        if world.operator.at != "idle":
            yield replace(dead, operator=world.operator._replace(at="idle"))
    if world.freezes < limits.freezes:
        frozen = replace(world, freezes=world.freezes + 1)
        if len(world.captures) == 1:
            yield replace(frozen, captures=(*world.captures, Program(world.captures[0].name + 1)))
        if len(world.sinks) == 1:
            yield replace(frozen, sinks=(*world.sinks, Program(world.sinks[0].name + 1)))


def wrongs(world: World) -> Iterator[str]:
    """What must never be."""
    if world.opened and not world.fenced:
        yield "both sides take writes"
    if world.opened and world.applied < world.written:
        yield "an acknowledged write is lost"


class Explored(NamedTuple):
    """What was found: how many states; what is wrong and how it came about; a state without a way to a good one."""

    states: int
    opened: int
    wrong: str = ""
    trail: tuple[World, ...] = ()
    stuck: World | None = None


def explore(limits: Limits) -> Explored:
    """Visit every state; the good ones must be within reach of each, without further faults."""
    first = World()
    origin: dict[World, World | None] = {first: None}
    before: dict[World, list[World]] = {}
    queue = deque([first])
    while queue:
        world = queue.popleft()
        for wrong in wrongs(world):
            return Explored(len(origin), 0, wrong, tuple(_trail(origin, world)))
        for following in steps(world, limits):
            before.setdefault(following, []).append(world)
            _visit(origin, queue, following, world)
        for following in faults(world, limits):
            _visit(origin, queue, following, world)
    opened = sum(world.opened > 0 for world in origin)
    return Explored(len(origin), opened, stuck=_stuck(origin, before))


def _visit(origin: dict[World, World | None], queue: deque[World], world: World, source: World) -> None:
    if world not in origin:
        origin[world] = source
        queue.append(world)


def _trail(origin: dict[World, World | None], world: World | None) -> list[World]:
    trail = []
    while world:
        trail.append(world)
        world = origin[world]
    return trail[::-1]


def _stuck(origin: Iterable[World], before: dict[World, list[World]]) -> World | None:
    """A state from which none of the good ones can be reached, if there is one."""
    reaching = {world for world in origin if world.good}
    queue = deque(reaching)
    while queue:
        for earlier in before.get(queue.popleft(), ()):
            if earlier not in reaching:
                reaching.add(earlier)
                queue.append(earlier)
    return next((world for world in origin if world not in reaching), None)
