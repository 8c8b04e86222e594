"""Two values are the same where class and bits are."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.verification.comparing import by_key, differing_keys, of_kinds, same
from operations.verification.findings import KEPT, Finding, Findings, Foreign, extra, missing, show
from shared.groups import RawText

VALUES = [None, 0, 1, -1, 0.0, -0.0, 1.0, "", "1", "a", b"", b"1", b"a", RawText(b"\xff"), b"\xff", Foreign("1")]


@pytest.mark.parametrize("pair", list(combinations(VALUES, 2)))
def test_different_values_are_not_the_same(pair: tuple[object, object]) -> None:
    assert not same([pair[0]], [pair[1]])


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()))
def test_the_same_values_are_the_same(values: list[object]) -> None:
    assert same(values, tuple(values))


def test_integers_beyond_64_bits_can_be_compared() -> None:
    assert same((2**70,), (2**70,))
    assert not same((2**70,), (2**70 + 1,))


def test_rows_are_paired_by_their_keys_whatever_their_order() -> None:
    mine = by_key([(1, "a"), (2, "b"), (3, "c")], (0,))
    theirs = by_key([(3, "c"), (2, "B"), (4, "d")], (0,))
    assert sorted(differing_keys(mine, theirs)) == [(1,), (2,), (4,)]


def test_a_key_of_another_class_is_a_difference() -> None:
    assert differing_keys(by_key([(1, "a")], (0,)), by_key([(1.0, "a")], (0,))) == [(1,)]


def test_only_keys_of_the_expected_class_are_in_order() -> None:
    assert of_kinds([(1, "a"), (2, "b")], (0, 1), (int, str))
    assert not of_kinds([(1, "a"), (2.0, "b")], (0, 1), (int, str))
    assert not of_kinds([(1, "a"), (2, None)], (0, 1), (int, str))


def test_values_are_shown_as_literals_that_tell_their_class() -> None:
    assert [show(value) for value in (None, 1, 1.0, "it's", b"\x01", RawText(b"\xff"))] == [
        "NULL",
        "1",
        "1.0",
        "'it''s'",
        "X'01'",
        "CAST(X'FF' AS TEXT)",
    ]


def test_a_key_that_is_looked_at_again_counts_once() -> None:
    findings = Findings()
    findings.looked_at("t", [(1,), (2,)], [missing("t", (1,)), missing("t", (2,))])
    findings.looked_at("t", [(1,), (2,)], [extra("t", (2,))])
    assert [(finding.kind, finding.key) for finding in findings.kept] == [("extra", "2")]
    assert findings.rows == 1


def test_what_is_not_kept_is_counted() -> None:
    findings = Findings()
    keys = [(n,) for n in range(KEPT + 5)]
    findings.looked_at("t", keys, [missing("t", key) for key in keys])
    assert len(findings.kept) == KEPT
    assert findings.rows == KEPT + 5


def test_a_key_that_sqlite_cannot_hold_is_shown_and_not_kept() -> None:
    [finding] = extra("t", (Foreign("infinity"),))
    assert isinstance(finding, Finding)
    assert (finding.key, finding.keys) == ("infinity", ())
