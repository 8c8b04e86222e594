"""What makes replication hard: rows displaced by REPLACE, rollbacks, refusals and savepoints."""

from __future__ import annotations

from operations.demo.application import YES, Application, Operation, give_up, seconds, text
from operations.demo.target import UNIQUE_VIOLATIONS, Refused
from operations.demo.vocabulary import COLORS, DEVICES, PATHS, uuid_text


def displace(app: Application) -> None:
    """INSERT OR REPLACE of a row that displaces another one, or two, through a secondary unique key."""
    app.draw.choice((_displace_visit, _displace_login, _displace_lead, _displace_tag))(app)


def _displace_visit(app: Application) -> None:
    """The displaced session takes its events with it."""
    rows = app.run('SELECT "token" FROM "visitor_sessions" WHERE "id" = ?', app.some("visitor_sessions"))
    row = {"token": rows[0][0], "visitor_uuid": _uuid(app), "landing_page": PATHS[0], "started_at": seconds()}
    app.replace("visitor_sessions", row, ('"token" = ?', [rows[0][0]]))


def _displace_login(app: Application) -> None:
    """One row has the id, another one the user and device."""
    login, user, device = app.some("login_sessions"), app.some("users"), app.draw.choice(DEVICES)
    now = seconds()
    row = {"id": login, "user_id": user, "device": device, "token": app.token(), "created_at": now, "expires_at": now}
    app.replace("login_sessions", row, ('"id" = ?', [login]), ('"user_id" = ? AND "device" = ?', [user, device]))


def _displace_lead(app: Application) -> None:
    """Through the partial index on open leads' references; all that hangs on the displaced lead goes."""
    lead = app.some("leads")
    rows = app.run(
        'SELECT "external_reference" FROM "leads" WHERE "id" >= ? AND "closed_at" IS NULL'
        ' AND "external_reference" IS NOT NULL ORDER BY "id" LIMIT 1',
        lead,
    )
    if not rows:
        give_up()
    row: dict[str, object] = {"uuid": _uuid(app), "external_reference": rows[0][0], "title": "imported again"}
    row |= {"created_at": text(), "updated_at": text()}
    app.replace("leads", row, ('"external_reference" = ? AND "closed_at" IS NULL', [rows[0][0]]))


def _displace_tag(app: Application) -> None:
    """The name is the same but for its case."""
    name = app.draw.choice(("campaign {}", "Campaign {}", "CAMPAIGN {}")).format(app.draw.randrange(16))
    app.replace("tags", {"name": name, "color": app.draw.choice(COLORS)}, ('lower("name") = lower(?)', [name]))


def _uuid(app: Application) -> str:
    return uuid_text(app.draw.getrandbits(64), app.draw.getrandbits(64))


def abandoned(operation: Operation) -> Operation:
    """That operation, rolled back at its end."""

    def run(app: Application) -> None:
        operation(app)
        give_up()

    return run


def half_abandoned(one: Operation, other: Operation) -> Operation:
    """``one`` rolled back to a savepoint, inside a savepoint in which ``other`` stays."""

    def run(app: Application) -> None:
        app.run('SAVEPOINT "outer"')
        app.run('SAVEPOINT "inner"')
        one(app)
        app.run('ROLLBACK TO SAVEPOINT "inner"')
        app.run('RELEASE SAVEPOINT "inner"')
        other(app)
        app.run('RELEASE SAVEPOINT "outer"')

    return run


def violate(app: Application) -> None:
    """A statement of two rows whose second one is refused: nothing of the transaction may stay."""
    user = app.some("users")
    email = app.run('SELECT "email" FROM "users" WHERE "id" = ?', user)[0][0]
    try:
        app.run(
            'INSERT INTO "users" ("uuid", "email", "name", "password_hash", "is_active", "created_at")'
            " VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)",
            _uuid(app), f"{app.token()}@example.com", "One", b"\x00", YES, text(),
            _uuid(app), email, "Two", b"\x00", YES, text(),
        )  # fmt: skip
    except Refused as refusal:
        if refusal.reason not in UNIQUE_VIOLATIONS:
            raise
    give_up()
