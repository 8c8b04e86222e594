-- What is made once the rows are in: secondary indexes, the application's own triggers, a view.

CREATE INDEX "users_manager" ON "users" ("manager_id");
CREATE INDEX "login_sessions_expiry" ON "login_sessions" ("expires_at");
CREATE INDEX "credit_transfers_from" ON "credit_transfers" ("from_user_id");
CREATE INDEX "credit_transfers_to" ON "credit_transfers" ("to_user_id");
CREATE INDEX "contacts_company" ON "contacts" ("company_id");
CREATE INDEX "contacts_name" ON "contacts" ("last_name", "first_name");
CREATE UNIQUE INDEX "leads_uuid" ON "leads" ("uuid");
CREATE UNIQUE INDEX "leads_open_reference" ON "leads" ("external_reference") WHERE "closed_at" IS NULL;
CREATE INDEX "leads_company" ON "leads" ("company_id");
CREATE INDEX "leads_contact" ON "leads" ("contact_id");
CREATE INDEX "leads_owner_status" ON "leads" ("owner_id", "status");
CREATE INDEX "lead_tags_tag" ON "lead_tags" ("tag_id");
CREATE INDEX "tasks_lead" ON "tasks" ("lead_id");
CREATE INDEX "tasks_open" ON "tasks" ("assignee_id", "due_on" DESC);
CREATE INDEX "notes_lead" ON "notes" ("lead_id");
CREATE INDEX "notes_parent" ON "notes" ("parent_id");
CREATE INDEX "notes_author" ON "notes" ("author_id");
CREATE UNIQUE INDEX "emails_message" ON "emails" ("message_id");
CREATE INDEX "emails_lead" ON "emails" ("lead_id");
CREATE INDEX "emails_contact" ON "emails" ("contact_id");
CREATE INDEX "attachments_note" ON "attachments" ("note_id");
CREATE UNIQUE INDEX "visitor_sessions_token" ON "visitor_sessions" ("token");
CREATE INDEX "visitor_sessions_lead" ON "visitor_sessions" ("lead_id");
CREATE INDEX "tracking_events_session" ON "tracking_events" ("session_id");
CREATE INDEX "page_timings_time" ON "page_timings" ("measured_at");
CREATE INDEX "ab_assignments_variant" ON "ab_assignments" ("variant_id");

CREATE VIEW "open_leads" AS
SELECT "leads"."id", "leads"."title", "leads"."status", "leads"."priority", "companies"."name" AS "company"
FROM "leads" LEFT JOIN "companies" ON "companies"."id" = "leads"."company_id"
WHERE "leads"."closed_at" IS NULL AND "leads"."is_archived" = 0;

CREATE TRIGGER "leads_touch" AFTER UPDATE ON "leads"
WHEN NEW."updated_at" IS OLD."updated_at"
BEGIN
    UPDATE "leads" SET "updated_at" = strftime('%Y-%m-%d %H:%M:%S', 'now') WHERE "id" = NEW."id";
END;

CREATE TRIGGER "leads_status_audit" AFTER UPDATE OF "status" ON "leads"
WHEN NEW."status" <> OLD."status"
BEGIN
    INSERT INTO "audit_log" ("actor_id", "action", "subject", "details", "happened_at")
    VALUES (
        NEW."owner_id", 'lead.status', 'lead:' || NEW."id",
        '{"from":"' || OLD."status" || '","to":"' || NEW."status" || '"}',
        strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'
    );
END;
