"""The rule of acceptance: each case, and the laws that hold for any interleaving of writers, resends and losses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.groups import Header, Kind
from shared.log.acceptance import Accepted, judge

STREAM = "s"


def header(
    writer: str, lease: int, number: int, kind: Kind = "changes", frame: int = 0, *, last: bool = True
) -> Header:
    return Header(STREAM, "i", writer, lease, number, kind, frame=frame, last=last)


def claim(writer: str, lease: int) -> Header:
    return header(writer, lease, 0, "claim")


def reasons(*headers: Header) -> list[str]:
    state, found = Accepted(), []
    for each in headers:
        judgement = judge(state, each, STREAM)
        found.append(judgement.void)
        state = judgement.state
    return found


def test_groups_of_the_writer_that_claimed_count() -> None:
    assert reasons(claim("a", 1), header("a", 1, 1), header("a", 1, 2)) == ["", "", ""]


def test_nothing_counts_without_a_claim() -> None:
    assert reasons(header("a", 1, 1)) == ["lease 1 was never claimed"]


def test_the_first_claim_of_a_lease_wins() -> None:
    assert reasons(claim("a", 1), claim("b", 1), header("b", 1, 1), header("a", 1, 1)) == [
        "",
        "lease 1 is not above 1",
        "lease 1 belongs to another writer",
        "",
    ]


def test_a_lower_lease_cannot_be_claimed_any_more() -> None:
    assert reasons(claim("a", 5), claim("b", 4)) == ["", "lease 4 is not above 5"]


def test_a_deposed_writer_that_wakes_up_writes_void_records() -> None:
    assert reasons(claim("a", 1), claim("b", 2), header("a", 1, 1), header("b", 2, 1)) == [
        "",
        "",
        "lease 1 was deposed by lease 2",
        "",
    ]


def test_a_group_that_came_twice_counts_once() -> None:
    assert reasons(claim("a", 1), header("a", 1, 1), header("a", 1, 1))[2] == "group 1 is there already"


def test_a_group_behind_a_lost_one_is_void() -> None:
    assert reasons(claim("a", 1), header("a", 1, 2)) == ["", "group 2 is out of turn after 0"]


def test_a_frame_that_came_twice_counts_once() -> None:
    first, second = header("a", 1, 1, frame=0, last=False), header("a", 1, 1, frame=1)
    assert reasons(claim("a", 1), first, first, second) == ["", "", "frame 0 is there already", ""]


def test_a_frame_behind_a_lost_one_is_void() -> None:
    first, third = header("a", 1, 1, frame=0, last=False), header("a", 1, 1, frame=2)
    assert reasons(claim("a", 1), first, third)[2] == "frame 2 is out of turn after 0"


def test_a_claim_abandons_the_half_group_before_it_and_its_number_is_given_again() -> None:
    state = Accepted(1, 0, "a", frames=2)

    judgement = judge(state, claim("b", 2), STREAM)

    assert judgement.abandons
    assert not judge(judgement.state, header("b", 2, 1), STREAM).void


def test_a_claim_that_is_void_abandons_nothing() -> None:
    judgement = judge(Accepted(3, 0, "a", frames=2), claim("b", 2), STREAM)

    assert not judgement.abandons
    assert judgement.state.frames == 2


def test_records_of_another_stream_are_void_even_as_claims() -> None:
    foreign = replace(claim("b", 9), stream="other")
    assert reasons(claim("a", 1), foreign, header("a", 1, 1)) == ["", "belongs to stream other", ""]


# Any history: writers that claim, append, die, come back, get through late or twice.


@dataclass
class Sender:
    """A writer as the spine's Writer is: it claims, reads up to its claim, then numbers its groups itself."""

    name: str
    lease: int
    number: int
    queue: list[Header] = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    name: tuple[int, int]
    writer: str
    places: tuple[int, ...]
    frames: tuple[int, ...]


@dataclass
class Fold:
    groups: list[Group]
    states: dict[int, Accepted]  # right behind each group, by the place of its last frame
    state: Accepted


def fold(log: list[Header], state: Accepted, start: int = 0) -> Fold:
    groups: list[Group] = []
    states: dict[int, Accepted] = {}
    open_places: list[int] = []
    for place in range(start, len(log)):
        judgement = judge(state, log[place], STREAM)
        state = judgement.state
        if judgement.abandons:
            open_places = []
        if judgement.void or log[place].kind == "claim":
            continue
        open_places.append(place)
        if log[place].last:
            frames = tuple(log[p].frame for p in open_places)
            groups.append(Group((log[place].lease, log[place].number), log[place].writer, tuple(open_places), frames))
            states[place] = state
            open_places = []
    return Fold(groups, states, state)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("append"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("deliver"), st.integers(0, 5), st.integers(1, 4)),
        st.tuples(st.just("lose"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("again"), st.integers(0, 60), st.integers(1, 5)),
        st.tuples(st.just("foreign"), st.integers(1, 6), st.just(0)),
    ),
    max_size=60,
)


class Spine:
    def __init__(self) -> None:
        self.log: list[Header] = []
        self.senders: list[Sender] = []

    def play(self, step: tuple[str, int, int]) -> None:
        action, one, two = step
        if action == "claim":
            self.claim(one)
        elif action == "foreign":
            self.log.append(replace(claim("f", one), stream="other"))
        elif action == "again":
            self.log += self.log[one : one + two]
        elif self.senders:
            self.use(self.senders[one % len(self.senders)], action, two)

    def claim(self, lease: int) -> None:
        name = f"w{len(self.log)}"
        self.log.append(claim(name, lease))
        state = fold(self.log, Accepted()).state
        if state.writer == name:
            self.senders.append(Sender(name, lease, state.number))

    def use(self, sender: Sender, action: str, count: int) -> None:
        if action == "append":
            sender.number += 1
            sender.queue += [
                header(sender.name, sender.lease, sender.number, frame=n, last=n == count - 1) for n in range(count)
            ]
        elif action == "deliver":
            self.log += sender.queue[:count]
            del sender.queue[:count]
        elif count < len(sender.queue):
            del sender.queue[count]


@settings(max_examples=300)
@given(steps)
def test_groups_that_count_are_dense_whole_in_order_and_from_one_writer_each(
    history: list[tuple[str, int, int]],
) -> None:
    spine = Spine()
    for step in history:
        spine.play(step)

    groups = fold(spine.log, Accepted()).groups

    assert [group.name[1] for group in groups] == list(range(1, len(groups) + 1))
    assert [group.name[0] for group in groups] == sorted(group.name[0] for group in groups)
    for group in groups:
        assert group.frames == tuple(range(len(group.frames)))
        assert {spine.log[place].writer for place in group.places} == {group.writer}


@settings(max_examples=300)
@given(steps)
def test_readers_agree_wherever_they_begin(history: list[tuple[str, int, int]]) -> None:
    spine = Spine()
    for step in history:
        spine.play(step)

    whole = fold(spine.log, Accepted())

    for count, (place, state) in enumerate(whole.states.items(), 1):
        assert state == Accepted(*whole.groups[count - 1].name, whole.groups[count - 1].writer)
        assert fold(spine.log, state, place + 1).groups == whole.groups[count:]


@given(steps)
def test_what_once_counted_counts_for_ever(history: list[tuple[str, int, int]]) -> None:
    spine = Spine()
    before: list[Group] = []
    for step in history:
        spine.play(step)
        now = fold(spine.log, Accepted()).groups
        assert now[: len(before)] == before
        before = now


@given(steps, st.integers(1, 5))
def test_whatever_happened_before_the_next_writer_gets_through(history: list[tuple[str, int, int]], count: int) -> None:
    spine = Spine()
    for step in history:
        spine.play(step)
    spine.claim(100)
    before = len(fold(spine.log, Accepted()).groups)

    for _ in range(count):
        spine.use(spine.senders[-1], "append", 2)
    spine.use(spine.senders[-1], "deliver", 1000)

    assert len(fold(spine.log, Accepted()).groups) == before + count
