"""What sales people do all day: leads with all that hangs on them, as operations of the application."""

from __future__ import annotations

from operations.demo.application import NO, Application, iso, text, zulu
from operations.demo.vocabulary import AGENTS, FIRST_NAMES, LAST_NAMES, STATUSES, TRADES, sentence, uuid_text


def create_lead(app: Application) -> None:
    """A business transaction over eight tables, with an upsert of the company."""
    draw, now = app.draw, text()
    company = _upsert_company(app)
    contact = app.run(
        'INSERT INTO "contacts" ("company_id", "external_id", "first_name", "last_name", "email", "wants_newsletter",'
        ' "created_at") VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING "id"',
        company, draw.randbytes(16), draw.choice(FIRST_NAMES), draw.choice(LAST_NAMES), "new@mail.example",
        app.chance(0.3), now,
    )[0][0]  # fmt: skip
    lead = app.run(
        'INSERT INTO "leads" ("uuid", "company_id", "contact_id", "owner_id", "external_reference", "title", "status",'
        ' "priority", "value", "discount", "probability", "is_archived", "created_at", "updated_at")'
        ' VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING "id"',
        uuid_text(draw.getrandbits(64), draw.getrandbits(64)), company, contact, app.some("users"),
        app.token() if app.chance(0.5) else None, f"{draw.choice(TRADES)} for a new contact", "new",
        draw.randint(1, 5), f"{draw.randrange(100_000)}.{draw.randrange(100):02}", "0.050", draw.random(), NO,
        now, now,
    )[0][0]  # fmt: skip
    app.run(
        'INSERT INTO "lead_system_details" ("lead_id", "ip_address", "user_agent", "campaign", "latitude", "longitude",'
        ' "fingerprint") VALUES (?, ?, ?, ?, ?, ?, ?)',
        lead, f"10.1.{draw.randrange(256)}.{draw.randrange(256)}", draw.choice(AGENTS), '{"source":"web"}',
        draw.uniform(47, 55), draw.uniform(6, 15), draw.getrandbits(64) - (1 << 63),
    )  # fmt: skip
    _add_note(app, lead, None)
    if app.chance(0.5):
        app.run(
            'INSERT INTO "tasks" ("lead_id", "title", "is_done", "due_on", "remind_at") VALUES (?, ?, ?, ?, ?)',
            lead, "call back", NO, now[:10], "09:00:00",
        )  # fmt: skip
    app.run('INSERT INTO "lead_tags" ("lead_id", "tag_id") VALUES (?, ?)', lead, _some_tag(app))
    _audit(app, "lead.create", lead)


def _upsert_company(app: Application) -> int:
    draw = app.draw
    domain = f"new-{app.token()[:12]}.example"
    if app.chance(0.9):
        domain = app.run('SELECT "domain" FROM "companies" WHERE "id" = ?', app.some("companies"))[0][0]
    rows = app.run(
        'INSERT INTO "companies" ("name", "domain", "revenue", "employees") VALUES (?, ?, ?, ?)'
        ' ON CONFLICT ("domain") DO UPDATE SET "employees" = excluded."employees", "revenue" = excluded."revenue"'
        ' RETURNING "id"',
        f"{draw.choice(LAST_NAMES)} Ltd", domain, f"{draw.randrange(10_000_000)}.50", draw.randrange(1000),
    )  # fmt: skip
    return int(rows[0][0])


def _audit(app: Application, action: str, lead: int) -> None:
    app.run(
        'INSERT INTO "audit_log" ("actor_id", "action", "subject", "happened_at") VALUES (?, ?, ?, ?)',
        app.writer, action, f"lead:{lead}", text("microseconds"),
    )  # fmt: skip


def move_lead(app: Application) -> None:
    """A new status, its history, and closing or opening again; the application's triggers do the rest."""
    lead, status = app.some("leads"), app.draw.choice(STATUSES)
    closed = text() if status in {"won", "lost"} else None
    app.run('UPDATE "leads" SET "status" = ?, "closed_at" = ? WHERE "id" = ?', status, closed, lead)
    number = app.run('SELECT coalesce(max("number"), 0) + 1 FROM "lead_status_changes" WHERE "lead_id" = ?', lead)[0][0]
    app.run(
        'INSERT INTO "lead_status_changes" ("lead_id", "number", "status", "changed_at") VALUES (?, ?, ?, ?)',
        lead, number, status, text(),
    )  # fmt: skip


def edit_lead(app: Application) -> None:
    """Some columns of one row, with the time set by the application itself, or by its trigger."""
    lead, draw = app.some("leads"), app.draw
    if app.chance(0.5):
        value = f"{draw.randrange(1_000_000)}.{draw.randrange(10)}0"
        app.run('UPDATE "leads" SET "value" = ?, "updated_at" = ? WHERE "id" = ?', value, text(), lead)
    else:
        archived = app.chance(0.1)
        app.run('UPDATE "leads" SET "probability" = ?, "is_archived" = ? WHERE "id" = ?', draw.random(), archived, lead)


def delete_lead(app: Application) -> None:
    """A lead with all that cascades from it, and its contact; the oldest ones when there are too many."""
    first, count = (app.spans["leads"][0], 3) if app.overgrown("leads") else (app.some("leads"), 1)
    rows = app.run('SELECT "id", "contact_id" FROM "leads" WHERE "id" >= ? ORDER BY "id" LIMIT ?', first, count)
    for lead, contact in rows:
        app.run('DELETE FROM "leads" WHERE "id" = ?', lead)
        app.run('DELETE FROM "contacts" WHERE "id" = ?', contact)
        _audit(app, "lead.delete", lead)


def write_note(app: Application) -> None:
    """A note that may answer another, or an older note edited, or a thread deleted."""
    note = app.some("notes")
    lead = app.run('SELECT "lead_id" FROM "notes" WHERE "id" = ?', note)[0][0]
    if app.chance(0.4):
        _add_note(app, lead, note if app.chance(0.5) else None)
    elif app.chance(0.5):
        app.run('UPDATE "notes" SET "body" = ?, "is_pinned" = ? WHERE "id" = ?', _body(app), app.chance(0.1), note)
    else:
        app.run('DELETE FROM "notes" WHERE "id" = ?', note)


def _add_note(app: Application, lead: int, parent: int | None) -> None:
    app.run(
        'INSERT INTO "notes" ("lead_id", "author_id", "parent_id", "body", "is_pinned", "created_at")'
        " VALUES (?, ?, ?, ?, ?, ?)",
        lead, app.some("users"), parent, _body(app), NO, iso(),
    )  # fmt: skip


def _body(app: Application) -> str:
    count = app.draw.randint(2, 12)
    return sentence(app.words(count), count)


def attach(app: Application) -> None:
    """A file of up to 20 kB, or another content for one."""
    draw = app.draw
    content = draw.randbytes(int(20_000 * draw.random() ** 4))
    if app.chance(0.5):
        app.run('UPDATE "attachments" SET "content" = ? WHERE "id" = ?', content, app.some("attachments"))
        return
    app.run(
        'INSERT INTO "attachments" ("note_id", "file_name", "media_type", "digest", "content") VALUES (?, ?, ?, ?, ?)',
        app.some("notes"), "scan.bin", "application/octet-stream", draw.randbytes(32), content,
    )  # fmt: skip


def send_mail(app: Application) -> None:
    """An e-mail sent, and another one opened."""
    lead = app.some("leads")
    app.run(
        'INSERT INTO "emails" ("lead_id", "message_id", "subject", "body", "headers", "sent_at")'
        " VALUES (?, ?, ?, ?, ?, ?)",
        lead, f"<{app.token()}@mail.example>", "Your offer", _body(app), "{}", zulu(),
    )  # fmt: skip
    app.run('UPDATE "emails" SET "opened_at" = ? WHERE "id" = ?', app.draw.randrange(1 << 31), app.some("emails"))


_FIRST_TAG = '(SELECT min("tag_id") FROM "lead_tags" WHERE "lead_id" = ?)'


def label(app: Application) -> None:
    """A tag put on a lead if it is not there, taken off another, or exchanged: a change of the key."""
    lead, tag = app.some("leads"), _some_tag(app)
    if app.chance(0.5):
        app.run('INSERT INTO "lead_tags" ("lead_id", "tag_id") VALUES (?, ?) ON CONFLICT DO NOTHING', lead, tag)
    elif app.chance(0.5):
        app.run(f'DELETE FROM "lead_tags" WHERE "lead_id" = ? AND "tag_id" = {_FIRST_TAG}', lead, lead)  # noqa: S608
    elif not app.run('SELECT 1 FROM "lead_tags" WHERE "lead_id" = ? AND "tag_id" = ?', lead, tag):
        exchange = f'UPDATE "lead_tags" SET "tag_id" = ? WHERE "lead_id" = ? AND "tag_id" = {_FIRST_TAG}'  # noqa: S608
        app.run(exchange, tag, lead, lead)


def _some_tag(app: Application) -> int:
    """Any of the few there are: their ids are far apart, as tags come again under new ones."""
    return int(app.draw.choice(app.run('SELECT "id" FROM "tags"'))[0])
