"""What the back office does: credits, logins, settings, and the bulk work and cleaning at night."""

from __future__ import annotations

from operations.demo.application import NO, YES, Application, give_up, milliseconds, seconds, text
from operations.demo.vocabulary import DEVICES

INVARIANT_SQL = 'SELECT sum("balance") FROM "credit_accounts"'
"""The total of all credits: the same in every committed state, on the primary as on a replica."""


def transfer(app: Application) -> None:
    """Credits from one user to another; the accounts are locked in the order of their ids."""
    giver, taker = app.some("users"), app.some("users")
    if giver == taker:
        give_up()
    amount, now = app.draw.randint(1, 2_000), milliseconds()
    for user in sorted((giver, taker)):
        change = amount if user == taker else -amount
        moved = app.run(
            'UPDATE "credit_accounts" SET "balance" = "balance" + ?, "changed_at" = ?'
            ' WHERE "user_id" = ? AND "balance" + ? >= 0 RETURNING "balance"',
            change, now, user, change,
        )  # fmt: skip
        if not moved:
            give_up()
    app.run(
        'INSERT INTO "credit_transfers" ("from_user_id", "to_user_id", "amount", "made_at") VALUES (?, ?, ?, ?)',
        giver, taker, amount, now,
    )  # fmt: skip


def log_in(app: Application) -> None:
    """An upsert by a secondary unique key that changes another one."""
    user, now = app.some("users"), seconds()
    app.run(
        'INSERT INTO "login_sessions" ("user_id", "device", "token", "created_at", "expires_at")'
        ' VALUES (?, ?, ?, ?, ?) ON CONFLICT ("user_id", "device")'
        ' DO UPDATE SET "token" = excluded."token", "expires_at" = excluded."expires_at"',
        user, app.draw.choice(DEVICES), app.token(), now, now + 14 * 86_400,
    )  # fmt: skip
    app.run('UPDATE "users" SET "last_login_at" = ?, "is_active" = ? WHERE "id" = ?', milliseconds(), YES, user)


def swap_seats(app: Application) -> None:
    """Two users exchange a unique value, by way of NULL."""
    one, other = sorted((app.some("users"), app.some("users")))
    if one == other:
        give_up()
    seats: dict[int, int | None] = dict(app.run('SELECT "id", "seat" FROM "users" WHERE "id" IN (?, ?)', one, other))
    app.run('UPDATE "users" SET "seat" = NULL WHERE "id" = ?', one)
    app.run('UPDATE "users" SET "seat" = ? WHERE "id" = ?', seats[one], other)
    app.run('UPDATE "users" SET "seat" = ? WHERE "id" = ?', seats[other], one)


def configure(app: Application) -> None:
    """An upsert of one of a hundred settings."""
    key = f"writer.{app.writer}.{app.draw.randrange(100)}"
    app.run(
        'INSERT INTO "configuration" ("key", "value", "is_secret", "changed_at") VALUES (?, ?, ?, ?)'
        ' ON CONFLICT ("key") DO UPDATE SET "value" = excluded."value", "changed_at" = excluded."changed_at"',
        key, app.draw.choice(("17", "false", '{"a":[1,2]}', None, "")), NO, text(),
    )  # fmt: skip


def rename(app: Application) -> None:
    """A change of a text key: a setting's, or one that cascades to an A/B test's variants and assignments."""
    number = app.draw.randrange(100)
    if app.chance(0.5):
        old, new = f"writer.{app.writer}.{number}", f"renamed.{app.writer}.{number}"
        app.run('DELETE FROM "configuration" WHERE "key" = ?', new)
        app.run('UPDATE "configuration" SET "key" = ? WHERE "key" = ?', new, old)
        return
    name = f"Pilot {app.writer}"
    rows = app.run('SELECT "key" FROM "ab_tests" WHERE "name" = ?', name)
    key = f"pilot-{app.token()[:8]}"
    if rows:
        app.run('UPDATE "ab_tests" SET "key" = ? WHERE "key" = ?', key, rows[0][0])
        app.run('DELETE FROM "ab_assignments" WHERE "test_key" = ? AND "visitor_uuid" < ?', key, "4")
        return
    app.run(
        'INSERT INTO "ab_tests" ("key", "name", "is_running", "starts_on") VALUES (?, ?, ?, ?)',
        key, name, YES, text()[:10],
    )  # fmt: skip
    for variant in ("A", "B"):
        app.run('INSERT INTO "ab_variants" ("test_key", "name", "weight") VALUES (?, ?, ?)', key, variant, "0.5")


def bulk_update(app: Application) -> None:
    """50 to 200 neighbouring rows in one statement."""
    width = app.draw.randint(50, 200)
    if app.chance(0.3):
        low = app.draw.randint(*app.spans["leads"])
        app.run('UPDATE "leads" SET "priority" = 1 + "priority" % 5 WHERE "id" >= ? AND "id" < ?', low, low + width)
        return
    low = app.draw.randint(*app.spans["tracking_events"])
    app.run(
        'UPDATE "tracking_events" SET "properties" = ? WHERE "id" >= ? AND "id" < ?',
        '{"reviewed":true}', low, low + width,
    )  # fmt: skip


def clean_up(app: Application) -> None:
    """The oldest rows of what only grows, a hundred ids at a time."""
    for table in ("audit_log", "credit_transfers", "emails", "tasks", "notes", "attachments", "contacts", "companies"):
        if app.overgrown(table):
            low = app.spans[table][0]
            app.run(f'DELETE FROM "{table}" WHERE "id" < ?', low + 100)  # noqa: S608
            app.spans[table] = (low + 100, app.spans[table][1])
    app.run('UPDATE "users" SET "settings" = ? WHERE "id" = ?', '{"theme":"light"}', app.some("users"))
