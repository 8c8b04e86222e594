"""What visitors of the web site cause: sessions, events, timings, A/B tests."""

from __future__ import annotations

from operations.demo.application import Application, milliseconds, seconds
from operations.demo.vocabulary import EPOCH_ZERO, EVENTS, JULIAN_ZERO, METRICS, PATHS, uuid_text


def track(app: Application) -> None:
    """Some events of a session, which counts them."""
    session, count = app.some("visitor_sessions"), app.draw.randint(1, 3)
    for _ in range(count):
        _add_event(app, session)
    app.run(
        'UPDATE "visitor_sessions" SET "event_count" = "event_count" + ?, "ended_at" = ? WHERE "id" = ?',
        count, seconds(), session,
    )  # fmt: skip


def _add_event(app: Application, session: int) -> None:
    draw = app.draw
    app.run(
        'INSERT INTO "tracking_events" ("session_id", "name", "path", "properties", "scroll_depth", "occurred_at")'
        " VALUES (?, ?, ?, ?, ?, ?)",
        session, draw.choice(EVENTS), draw.choice(PATHS), f'{{"x":{draw.randrange(1920)}}}', draw.random(),
        milliseconds(),
    )  # fmt: skip


def visit(app: Application) -> None:
    """A new session with its first event, and the visitor's variant, drawn again if he had one."""
    draw = app.draw
    visitor = uuid_text(draw.getrandbits(64), draw.getrandbits(64))
    session = app.run(
        'INSERT INTO "visitor_sessions" ("token", "visitor_uuid", "is_bot", "landing_page", "event_count",'
        ' "started_at") VALUES (?, ?, ?, ?, ?, ?) RETURNING "id"',
        app.token(), visitor, app.chance(0.05), draw.choice(PATHS), 1, seconds(),
    )[0][0]  # fmt: skip
    _add_event(app, session)
    variants = app.run('SELECT "test_key", "id" FROM "ab_variants" WHERE "id" >= ? LIMIT 1', draw.randint(1, 20))
    for test, variant in variants:
        app.run(
            'INSERT INTO "ab_assignments" ("test_key", "visitor_uuid", "variant_id", "assigned_at")'
            ' VALUES (?, ?, ?, ?) ON CONFLICT ("test_key", "visitor_uuid")'
            ' DO UPDATE SET "variant_id" = excluded."variant_id"',
            test, visitor if app.chance(0.7) else uuid_text(0, draw.randrange(1000)), variant, milliseconds(),
        )  # fmt: skip


def forget_visits(app: Application) -> None:
    """The oldest sessions, with their events by cascade, and some visitor's assignments."""
    app.run(
        'DELETE FROM "visitor_sessions" WHERE "id" IN (SELECT "id" FROM "visitor_sessions" ORDER BY "id" LIMIT ?)',
        8 if app.overgrown("visitor_sessions") else 3,
    )
    rows = app.run(
        'SELECT "test_key", "visitor_uuid" FROM "ab_assignments" WHERE "visitor_uuid" >= ? AND "test_key" ='
        ' (SELECT "test_key" FROM "ab_variants" WHERE "id" = ?) ORDER BY "visitor_uuid" LIMIT 4',
        f"{app.draw.getrandbits(32):08x}-0000-4000-a000-000000000000", app.draw.randint(1, 20),
    )  # fmt: skip
    for test, visitor in rows:
        app.run('DELETE FROM "ab_assignments" WHERE "test_key" = ? AND "visitor_uuid" = ?', test, visitor)


def measure(app: Application) -> None:
    """Samples without a key come, are corrected and go, the oldest first; some are one another's doubles."""
    draw, count = app.draw, app.draw.randint(1, 4)
    now = JULIAN_ZERO + (milliseconds() - EPOCH_ZERO * 1000) / 86_400_000
    path, metric = draw.choice(PATHS), draw.choice(METRICS)
    for _ in range(count):
        app.run(
            'INSERT INTO "page_timings" ("path", "metric", "milliseconds", "measured_at") VALUES (?, ?, ?, ?)',
            path, metric, draw.randrange(100_000) / 10, now,
        )  # fmt: skip
    if app.chance(0.3):
        app.run('UPDATE "page_timings" SET "milliseconds" = ? WHERE "measured_at" = ?', draw.random() * 1000, now)
    app.timings += count
    if app.timings > 0:
        oldest = app.run('SELECT "measured_at" FROM "page_timings" ORDER BY "measured_at" LIMIT 1 OFFSET 2')[0][0]
        app.timings -= len(app.run('DELETE FROM "page_timings" WHERE "measured_at" <= ? RETURNING 1', oldest))
