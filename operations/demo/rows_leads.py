"""Rows of leads and of all that hangs on them: pure functions, see rows_people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.demo.vocabulary import (
    AGENTS,
    CLOCK,
    DAYS,
    EPOCH_ZERO,
    FILES,
    HISTORY,
    STATUSES,
    SUBJECTS,
    TRADES,
    sentence,
    uuid_text,
)

if TYPE_CHECKING:
    from operations.demo.rows_people import Maker, Row, Sizes

_NOISE = bytes((n * n * 31 + (n >> 3) * 17 + (n >> 8) * 101) & 255 for n in range(1 << 17))
"""What attachments are cut from."""


def leads(sizes: Sizes) -> Maker:
    """Won and lost leads are closed; one in four carries another system's reference."""
    people, firms, owners, total = sizes["contacts"], sizes["companies"], sizes["users"], sizes["leads"]

    def make(n: int, a: int, b: int) -> Row:
        at = HISTORY * n // total
        made = f"{DAYS[at // 86_400]} {CLOCK[at % 86_400]}"
        status = STATUSES[a & 7]
        return (
            n,
            uuid_text(a, b),
            1 + (b & 0xFFFFFFFF) % firms if a >> 3 & 15 else None,
            1 + (n - 1) % people,
            1 + (a >> 32) % owners if a >> 7 & 7 else None,
            f"CRM-{n:08}" if a >> 10 & 3 == 0 else None,
            f"{TRADES[a >> 12 & 15]} for contact {n}",
            status,
            1 + (a >> 16 & 0xFF) % 5,
            f"{b >> 32 & 0xFFFFF}.{b & 63:02}" if a >> 24 & 7 else None,
            f"0.{b >> 8 & 7}50" if a >> 27 & 1 else None,
            (b >> 11 & 0xFFFF) / 65_536,
            a >> 28 & 15 == 0,
            made,
            made,
            f"{DAYS[at // 86_400 + (b >> 27 & 63)]} {CLOCK[at % 86_400]}" if status in {"won", "lost"} else None,
        )

    return make


def lead_system_details(_sizes: Sizes) -> Maker:
    """One for each lead, some at unknown places; the fingerprint uses all 63 bits and the sign."""

    def make(n: int, a: int, b: int) -> Row:
        known = a & 3 > 0
        return (
            n,
            f"10.{a >> 2 & 255}.{a >> 10 & 255}.{a >> 18 & 255}" if a >> 26 & 7 else f"2001:db8::{a >> 29 & 0xFFFF:x}",
            AGENTS[a >> 45 & 3],
            "1920x1080" if a >> 47 & 1 else None,
            f'{{"source":"ads","medium":"cpc","cost":{(b & 1023) / 100}}}' if a >> 48 & 3 == 0 else None,
            47.0 + (b >> 10 & 0xFFFFF) / 1e5 if known else None,
            6.0 + (b >> 30 & 0xFFFFF) / 1e5 if known else None,
            b - (1 << 63),
        )

    return make


def lead_status_changes(sizes: Sizes) -> Maker:
    """Up to three for a lead."""
    total = sizes["lead_status_changes"]

    def make(n: int, a: int, _b: int) -> Row:
        at = HISTORY * n // total
        number = (n - 1) % 3
        return (n + 2) // 3, number + 1, STATUSES[number * 2], f"{DAYS[at // 86_400]} {CLOCK[a % 86_400]}"

    return make


def lead_tags(sizes: Sizes) -> Maker:
    """Two different tags for a lead."""
    count = sizes["tags"]
    return lambda n, _a, _b: ((n + 1) // 2, 1 + ((n + 1) // 2 * 7 + n % 2) % count)


def tasks(sizes: Sizes) -> Maker:
    """Due days and wall-clock times, both sometimes missing."""
    count, owners = sizes["leads"], sizes["users"]

    def make(n: int, a: int, b: int) -> Row:
        return (
            n,
            1 + (a & 0xFFFFFFFF) % count if a >> 32 & 7 else None,
            1 + (b & 0xFFFFFFFF) % owners if a >> 35 & 7 else None,
            sentence(b >> 32, 4),
            a >> 38 & 1,
            DAYS[a >> 39 & 511] if a >> 48 & 3 else None,
            CLOCK[(a >> 50) % 24 * 3600] if b >> 60 & 1 else None,
        )

    return make


def notes(sizes: Sizes) -> Maker:
    """Threads of three on one lead: half of the later ones answer the one before."""
    count, owners, total = sizes["leads"], sizes["users"], sizes["notes"]

    def make(n: int, a: int, b: int) -> Row:
        at = HISTORY * n // total
        return (
            n,
            1 + (n - 1) // 3 * 7919 % count,
            1 + (a & 0xFFFFFFFF) % owners if a >> 32 & 15 else None,
            n - 1 if (n - 1) % 3 and a >> 36 & 1 else None,
            sentence(b, 3 + (a >> 37 & 7)),
            a >> 40 & 31 == 0,
            f"{DAYS[at // 86_400]}T{CLOCK[at % 86_400]}+00:00",
        )

    return make


def emails(sizes: Sizes) -> Maker:
    """Bodies of some lines; half were opened."""
    count, people, total = sizes["leads"], sizes["contacts"], sizes["emails"]

    def make(n: int, a: int, b: int) -> Row:
        at = HISTORY * n // total
        return (
            n,
            1 + (a & 0xFFFFFFFF) % count if a >> 32 & 7 else None,
            1 + (b & 0xFFFFFFFF) % people if a >> 35 & 15 else None,
            f"<{a:016x}.{n}@mail.example>",
            SUBJECTS[a >> 39 & 7],
            f"Hello,\r\n\r\n{sentence(b, 12)}\r\n" * (1 + (a >> 42 & 3)) if a >> 44 & 15 else None,
            '{"X-Mailer":"demo","X-Priority":3}' if a >> 48 & 1 else "{}",
            f"{DAYS[at // 86_400]}T{CLOCK[at % 86_400]}.{a >> 49 & 511:03}Z",
            EPOCH_ZERO + at + (b >> 40 & 0xFFFF) if a >> 58 & 1 else None,
        )

    return make


def attachments(sizes: Sizes) -> Maker:
    """Mostly small, some empty or missing, one in 64 up to 64 kB."""
    count = sizes["notes"]

    def make(n: int, a: int, b: int) -> Row:
        length = b & 0xFFFF if a & 63 == 0 else b & 0x7FF
        start = b >> 16 & 0xFFFF
        name, media_type = FILES[a >> 6 & 3]
        content = None if a >> 8 & 31 == 0 else _NOISE[start : start + length] if a >> 13 & 31 else b""
        return n, 1 + (a & 0xFFFFFFFF) % count, name, media_type, a.to_bytes(8, "big") * 4, content

    return make


def audit_log(sizes: Sizes) -> Maker:
    """Who did what, with microseconds."""
    owners, count, total = sizes["users"], sizes["leads"], sizes["audit_log"]
    actions = ("lead.create", "lead.update", "user.login", "export")

    def make(n: int, a: int, b: int) -> Row:
        at = HISTORY * n // total
        return (
            n,
            1 + (a & 0xFFFFFFFF) % owners if a >> 32 & 7 else None,
            actions[a >> 35 & 3],
            f"lead:{1 + (b & 0xFFFFFFFF) % count}",
            f'{{"ip":"10.0.{a >> 37 & 255}.{a >> 45 & 255}","ok":true}}' if a >> 53 & 1 else None,
            f"{DAYS[at // 86_400]} {CLOCK[at % 86_400]}.{b >> 32 & 0x7FFFF:06}",
        )

    return make
