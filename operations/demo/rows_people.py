"""Rows of users, their sessions and credits, companies, contacts and settings: pure functions.

Every function takes the sizes of all tables and returns a maker: (row number from 1, two random
numbers of 64 bits) -> row, in the columns' order.  The same input always gives the same row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.demo.vocabulary import (
    BIRTHDAYS,
    CITIES,
    CLOCK,
    COLORS,
    DAYS,
    DEVICES,
    EPOCH_ZERO,
    FIRST_NAMES,
    FORMS,
    HISTORY,
    LAST_NAMES,
    ROLES,
    TRADES,
    WORDS,
    uuid_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Row = tuple[object, ...]
    Maker = Callable[[int, int, int], Row]
    Sizes = Mapping[str, int]

OPENING_BALANCE = 100_000
"""Every account's balance in a new database, in cents; transfers only move them."""

_SETTINGS = (
    "{}",
    '{"theme":"dark"}',
    '{"theme":"light","language":"de","rows":50}',
    '{"signature":"Viele Grüße","notify":{"mail":true,"sms":false}}',
)  # fmt: skip


def roles(_sizes: Sizes) -> Maker:
    """One row for each of ROLES."""
    return lambda n, _a, _b: (n, ROLES[n - 1], '["lead.read","lead.write"]' if n % 2 else "[]")


def users(_sizes: Sizes) -> Maker:
    """People in a tree of eight reports each; one in sixteen has no seat, one in eight never logged in."""

    def make(n: int, a: int, b: int) -> Row:
        first, last = FIRST_NAMES[a & 31], LAST_NAMES[a >> 5 & 31]
        return (
            n,
            uuid_text(a, b),
            f"{first}.{last}.{n}@example.com".lower().replace(" ", ""),
            f"{first} {last}",
            b.to_bytes(8, "big") * 4,
            (n + 6) // 8 if n > 1 else None,
            n if n % 16 else None,
            a >> 10 & 15 > 0,
            _SETTINGS[a >> 14 & 3],
            (EPOCH_ZERO + b % HISTORY) * 1000 + (a >> 16) % 1000 if n % 8 else None,
            f"{DAYS[a >> 20 & 511]} {CLOCK[b % 86_400]}",
        )

    return make


def user_roles(sizes: Sizes) -> Maker:
    """A first role for every user, then a second for some."""
    count = sizes["users"]

    def make(n: int, a: int, _b: int) -> Row:
        turn, user = divmod(n - 1, count)
        return user + 1, 1 + (user + turn) % len(ROLES), DAYS[a & 511]

    return make


def login_sessions(sizes: Sizes) -> Maker:
    """One for each user and device, user by user."""
    count = sizes["users"]

    def make(n: int, a: int, b: int) -> Row:
        began = EPOCH_ZERO + HISTORY - (a & 0xFFFFF)
        return n, 1 + (n - 1) % count, DEVICES[(n - 1) // count], f"{a:016x}{b:016x}", began, began + 14 * 86_400

    return make


def credit_accounts(_sizes: Sizes) -> Maker:
    """One for each user, all with the opening balance: transfers of the past cancel out in pairs."""
    return lambda n, _a, _b: (n, OPENING_BALANCE, (EPOCH_ZERO + HISTORY) * 1000)


def credit_transfers(sizes: Sizes) -> Maker:
    """Pairs there and back between two users, so that the opening balances are right."""
    count, total = sizes["users"], sizes["credit_transfers"]

    def make(n: int, _a: int, _b: int) -> Row:
        pair = (n - 1) // 2
        one = pair * 7919 % count
        other = (one + 1 + pair * 104_729 % (count - 1)) % count
        giver, taker = (one, other) if n % 2 else (other, one)
        return n, giver + 1, taker + 1, 1 + pair * 31 % 500, (EPOCH_ZERO + HISTORY * n // total) * 1000

    return make


def companies(_sizes: Sizes) -> Maker:
    """Decimals with trailing zeros, small and large; one in eight without figures."""

    def make(n: int, a: int, b: int) -> Row:
        name, trade = LAST_NAMES[a & 31], TRADES[a >> 5 & 15]
        known = a >> 9 & 7 > 0
        return (
            n,
            f"{name} {trade} {FORMS[a >> 12 & 7]}",
            f"{trade.lower()}-{n}.example",
            f"{b % 10_000_000}.{b >> 24 & 7}0" if known else None,
            b >> 32 & 0x3FF if known else None,
            f"{1900 + (a >> 15) % 124}-{1 + (a >> 24) % 12:02}-{1 + (a >> 32) % 28:02}",
            f'{{"street":"{name} {b >> 40 & 127}","city":"{CITIES[b & 7]}","lines":[{a & 255},null]}}',
        )

    return make


def contacts(sizes: Sizes) -> Maker:
    """Some without company, e-mail, phone or birthday."""
    count, total = sizes["companies"], sizes["contacts"]

    def make(n: int, a: int, b: int) -> Row:
        first, last = FIRST_NAMES[a & 31], LAST_NAMES[a >> 5 & 31]
        at = HISTORY * n // total
        return (
            n,
            1 + (b & 0xFFFFFFFF) % count if a >> 10 & 15 else None,
            a.to_bytes(8, "big") + b.to_bytes(8, "big"),
            first,
            last,
            f"{first.lower()}{n}@mail.example" if a >> 14 & 7 else None,
            f"+49 {a >> 17 & 1023} {b >> 32 & 0xFFFFF}" if a >> 30 & 3 else None,
            a >> 32 & 1,
            BIRTHDAYS[a >> 33 & 2047] if a >> 44 & 1 else None,
            f"{DAYS[at // 86_400]} {CLOCK[at % 86_400]}",
        )

    return make


def tags(_sizes: Sizes) -> Maker:
    """Words with their number: unique whatever their case."""
    return lambda n, _a, _b: (n, f"{WORDS[n].title()} {n}", COLORS[n % 4])


def configuration(_sizes: Sizes) -> Maker:
    """Numbers, flags, JSON and nothing, all as text."""
    values = ("42", "true", '{"retries":3}', None, "0.50", "", "smtp.example.com", "2025-01-01")
    return lambda n, a, _b: (f"{WORDS[n & 31]}.setting.{n}", values[n & 7], n % 10 == 0, f"{DAYS[a & 511]} 08:00:00")
