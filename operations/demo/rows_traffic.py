"""Rows of web traffic and A/B tests, most of a demo database: pure functions, see rows_people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.demo.vocabulary import DAYS, EPOCH_ZERO, EVENTS, HISTORY, JULIAN_ZERO, METRICS, PATHS, uuid_text

if TYPE_CHECKING:
    from operations.demo.rows_people import Maker, Row, Sizes

TESTS = ("headline", "button-color", "pricing-table", "signup-form", "hero-video", "checkout")

_VARIANTS = tuple((test, name) for n, test in enumerate(TESTS) for name in ("A", "B", "C")[: 2 + n % 2])


def visitor(number: int) -> str:
    """The UUID of a visitor: an odd factor makes it different for each number below 2^64."""
    return uuid_text(number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF, number * 0xD1B54A32D192ED03 & 0xFFFFFFFFFFFFFFFF)


def visitor_sessions(sizes: Sizes) -> Maker:
    """Two or so for a visitor; one in eight became a lead."""
    total, count = sizes["visitor_sessions"], sizes["leads"]

    def make(n: int, a: int, b: int) -> Row:
        began = EPOCH_ZERO + HISTORY * n // total
        return (
            n,
            f"{a:016x}{b:016x}",
            visitor(n // 2),
            1 + (b & 0xFFFFFFFF) % count if a & 7 == 0 else None,
            a >> 3 & 15 == 0,
            PATHS[a >> 7 & 15],
            a >> 11 & 15,
            began,
            began + (a >> 15 & 2047) if a >> 26 & 3 else None,
        )

    return make


def tracking_events(sizes: Sizes) -> Maker:
    """Session by session, in the order of time."""
    total, sessions = sizes["tracking_events"], sizes["visitor_sessions"]
    begin, step = EPOCH_ZERO * 1000, HISTORY * 1000 // total

    def make(n: int, a: int, b: int) -> Row:
        return (
            n,
            1 + (n - 1) * sessions // total,
            EVENTS[a & 15],
            PATHS[a >> 4 & 15],
            f'{{"x":{a >> 8 & 1023},"y":{a >> 18 & 4095},"button":"b{a >> 30 & 7}"}}' if a >> 33 & 3 == 0 else None,
            (b & 1023) / 1024 if a >> 35 & 1 else None,
            begin + n * step,
        )

    return make


def page_timings(sizes: Sizes) -> Maker:
    """Samples without a key; every 64th is its neighbour's double."""
    total = sizes["page_timings"]

    def make(n: int, a: int, b: int) -> Row:
        if n & 63 == 0:
            return "/", "TTFB", 12.5, JULIAN_ZERO + 511.0
        return PATHS[a & 15], METRICS[a >> 4 & 3], (b & 0xFFFFF) / 100, JULIAN_ZERO + 512 * n / total

    return make


def ab_tests(_sizes: Sizes) -> Maker:
    """One row for each of TESTS."""
    goal = '{"event":"form_submit","minimum":0.05}'
    return lambda n, _a, _b: (TESTS[n - 1], TESTS[n - 1].title(), n % 3 > 0, DAYS[n * 50], goal if n % 2 else None)


def ab_variants(_sizes: Sizes) -> Maker:
    """Two or three for a test."""
    return lambda n, _a, _b: (n, *_VARIANTS[n - 1], "0.5000" if n % 3 else "0.3333")


def ab_assignments(_sizes: Sizes) -> Maker:
    """Each visitor takes part in two tests, in one variant each."""
    firsts = [next(n for n, (of, _) in enumerate(_VARIANTS, start=1) if of == test) for test in TESTS]

    def make(n: int, a: int, b: int) -> Row:
        test = (n // 2 + n % 2) % len(TESTS)
        return TESTS[test], visitor(n // 2), firsts[test] + (a & 1), (EPOCH_ZERO + b % HISTORY) * 1000

    return make
