-- The tables of a lead-management application, with the types that people really use in SQLite.
-- Secondary indexes, triggers and the view are in schema_after_load.sql: they are made once the rows are in.

CREATE TABLE "roles" (
    "id" INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL UNIQUE COLLATE NOCASE,
    "permissions" TEXT NOT NULL DEFAULT '[]'              -- JSON array
);

CREATE TABLE "users" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "uuid" CHAR(36) NOT NULL UNIQUE,
    "email" VARCHAR(255) NOT NULL UNIQUE,
    "name" VARCHAR(120) NOT NULL,
    "password_hash" BLOB NOT NULL,
    "manager_id" INTEGER REFERENCES "users" ("id") ON DELETE SET NULL,
    "seat" INTEGER UNIQUE,
    "is_active" BOOLEAN NOT NULL DEFAULT 1,
    "settings" JSON NOT NULL DEFAULT '{}',
    "last_login_at" INTEGER,                              -- epoch milliseconds
    "created_at" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE "user_roles" (
    "user_id" INTEGER NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
    "role_id" INTEGER NOT NULL REFERENCES "roles" ("id") ON DELETE CASCADE,
    "granted_on" DATE NOT NULL,
    PRIMARY KEY ("user_id", "role_id")
) WITHOUT ROWID;

CREATE TABLE "login_sessions" (
    "id" INTEGER PRIMARY KEY,
    "user_id" INTEGER NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
    "device" TEXT NOT NULL,
    "token" TEXT NOT NULL UNIQUE,
    "created_at" INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),  -- epoch seconds
    "expires_at" INTEGER NOT NULL,
    UNIQUE ("user_id", "device")
);

CREATE TABLE "credit_accounts" (
    "user_id" INTEGER PRIMARY KEY REFERENCES "users" ("id") ON DELETE RESTRICT,
    "balance" INTEGER NOT NULL CHECK ("balance" >= 0),    -- cents
    "changed_at" INTEGER NOT NULL                         -- epoch milliseconds
);

CREATE TABLE "credit_transfers" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "from_user_id" INTEGER NOT NULL REFERENCES "credit_accounts" ("user_id"),
    "to_user_id" INTEGER NOT NULL REFERENCES "credit_accounts" ("user_id"),
    "amount" INTEGER NOT NULL CHECK ("amount" > 0),
    "made_at" INTEGER NOT NULL,
    CHECK ("from_user_id" <> "to_user_id")
);

CREATE TABLE "companies" (
    "id" INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "domain" TEXT NOT NULL UNIQUE,
    "revenue" DECIMAL(14, 2),
    "employees" INTEGER,
    "founded_on" DATE,
    "address" JSON
);

CREATE TABLE "contacts" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "company_id" INTEGER REFERENCES "companies" ("id") ON DELETE SET NULL,
    "external_id" BLOB,                                   -- a UUID's 16 bytes
    "first_name" TEXT NOT NULL,
    "last_name" TEXT NOT NULL,
    "email" TEXT,
    "phone" TEXT,
    "wants_newsletter" BOOLEAN NOT NULL DEFAULT 0,
    "born_on" DATE,
    "created_at" TIMESTAMP NOT NULL
);

CREATE TABLE "leads" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "uuid" TEXT NOT NULL,
    "company_id" INTEGER REFERENCES "companies" ("id") ON DELETE SET NULL,
    "contact_id" INTEGER REFERENCES "contacts" ("id") ON DELETE SET NULL,
    "owner_id" INTEGER REFERENCES "users" ("id") ON DELETE SET NULL,
    "external_reference" TEXT,
    "title" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'new'
        CHECK ("status" IN ('new', 'contacted', 'qualified', 'proposal', 'won', 'lost')),
    "priority" SMALLINT NOT NULL DEFAULT 3,
    "value" DECIMAL(12, 2),
    "discount" TEXT,                                      -- a decimal, as text
    "probability" REAL NOT NULL DEFAULT 0.0,
    "is_archived" BOOLEAN NOT NULL DEFAULT 0,
    "created_at" DATETIME NOT NULL,
    "updated_at" DATETIME NOT NULL,
    "closed_at" DATETIME
);

CREATE TABLE "lead_system_details" (
    "lead_id" INTEGER PRIMARY KEY REFERENCES "leads" ("id") ON DELETE CASCADE,
    "ip_address" VARCHAR(45) NOT NULL,
    "user_agent" TEXT NOT NULL,
    "screen" TEXT,
    "campaign" JSON,
    "latitude" REAL,
    "longitude" DOUBLE PRECISION,
    "fingerprint" BIGINT NOT NULL                         -- all 63 bits
);

CREATE TABLE "lead_status_changes" (
    "lead_id" INTEGER NOT NULL REFERENCES "leads" ("id") ON DELETE CASCADE,
    "number" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "changed_at" DATETIME NOT NULL,
    PRIMARY KEY ("lead_id", "number")
);

CREATE TABLE "tags" (
    "id" INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL UNIQUE COLLATE NOCASE,
    "color" CHAR(7) NOT NULL
);

CREATE TABLE "lead_tags" (
    "lead_id" INTEGER NOT NULL REFERENCES "leads" ("id") ON DELETE CASCADE,
    "tag_id" INTEGER NOT NULL REFERENCES "tags" ("id") ON DELETE CASCADE,
    PRIMARY KEY ("lead_id", "tag_id")
) WITHOUT ROWID;

CREATE TABLE "tasks" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "lead_id" INTEGER REFERENCES "leads" ("id") ON DELETE SET NULL,
    "assignee_id" INTEGER REFERENCES "users" ("id") ON DELETE SET NULL,
    "title" TEXT NOT NULL,
    "is_done" BOOLEAN NOT NULL DEFAULT FALSE,
    "due_on" DATE,
    "remind_at" TIME
);

CREATE TABLE "notes" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "lead_id" INTEGER NOT NULL REFERENCES "leads" ("id") ON DELETE CASCADE,
    "author_id" INTEGER REFERENCES "users" ("id") ON DELETE SET NULL,
    "parent_id" INTEGER REFERENCES "notes" ("id") ON DELETE CASCADE,
    "body" TEXT NOT NULL,
    "is_pinned" BOOLEAN NOT NULL DEFAULT 0,
    "created_at" TEXT NOT NULL                            -- ISO with offset: 2025-03-01T09:30:00+00:00
);

CREATE TABLE "emails" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "lead_id" INTEGER REFERENCES "leads" ("id") ON DELETE CASCADE,
    "contact_id" INTEGER REFERENCES "contacts" ("id") ON DELETE SET NULL,
    "message_id" TEXT NOT NULL,
    "subject" TEXT NOT NULL DEFAULT '',
    "body" CLOB,
    "headers" JSON NOT NULL DEFAULT '{}',
    "sent_at" TEXT NOT NULL,                              -- ISO in UTC: 2025-03-01T09:30:00.000Z
    "opened_at" INTEGER                                   -- epoch seconds
);

CREATE TABLE "attachments" (
    "id" INTEGER PRIMARY KEY,
    "note_id" INTEGER NOT NULL REFERENCES "notes" ("id") ON DELETE CASCADE,
    "file_name" TEXT NOT NULL,
    "media_type" TEXT NOT NULL,
    "digest" BINARY(32) NOT NULL,
    "content" BLOB
);

CREATE TABLE "visitor_sessions" (
    "id" INTEGER PRIMARY KEY,
    "token" TEXT NOT NULL,                                -- 32 hex digits
    "visitor_uuid" UUID NOT NULL,
    "lead_id" INTEGER REFERENCES "leads" ("id") ON DELETE SET NULL,
    "is_bot" BOOLEAN NOT NULL DEFAULT 0,
    "landing_page" TEXT NOT NULL,
    "event_count" INTEGER NOT NULL DEFAULT 0,
    "started_at" INTEGER NOT NULL,                        -- epoch seconds
    "ended_at" INTEGER
);

CREATE TABLE "tracking_events" (
    "id" INTEGER PRIMARY KEY,
    "session_id" INTEGER NOT NULL REFERENCES "visitor_sessions" ("id") ON DELETE CASCADE,
    "name" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "properties" TEXT,                                    -- JSON object
    "scroll_depth" FLOAT,
    "occurred_at" INTEGER NOT NULL                        -- epoch milliseconds
);

-- No primary key, and the very same row may be there twice.
CREATE TABLE "page_timings" (
    "path" TEXT NOT NULL,
    "metric" TEXT NOT NULL,
    "milliseconds" REAL NOT NULL,
    "measured_at" REAL NOT NULL                           -- Julian day
);

CREATE TABLE "ab_tests" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "is_running" BOOLEAN NOT NULL DEFAULT 1,
    "starts_on" DATE NOT NULL,
    "goal" JSON
);

CREATE TABLE "ab_variants" (
    "id" INTEGER PRIMARY KEY,
    "test_key" TEXT NOT NULL REFERENCES "ab_tests" ("key") ON DELETE CASCADE ON UPDATE CASCADE,
    "name" TEXT NOT NULL,
    "weight" NUMERIC(5, 4) NOT NULL,
    UNIQUE ("test_key", "name")
);

CREATE TABLE "ab_assignments" (
    "test_key" TEXT NOT NULL REFERENCES "ab_tests" ("key") ON DELETE CASCADE ON UPDATE CASCADE,
    "visitor_uuid" TEXT NOT NULL,
    "variant_id" INTEGER NOT NULL REFERENCES "ab_variants" ("id") ON DELETE CASCADE,
    "assigned_at" INTEGER NOT NULL,                       -- epoch milliseconds
    PRIMARY KEY ("test_key", "visitor_uuid")
) WITHOUT ROWID;

CREATE TABLE "configuration" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "value" TEXT,
    "is_secret" BOOLEAN NOT NULL DEFAULT 0,
    "changed_at" DATETIME NOT NULL
) WITHOUT ROWID;

CREATE TABLE "audit_log" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "actor_id" INTEGER,                                   -- no reference: it outlives the user
    "action" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "details" TEXT,                                       -- JSON object
    "happened_at" DATETIME NOT NULL                       -- with microseconds
);

-- The writers' own: every transaction leaves its row, see ledger.py.
CREATE TABLE "write_ledger" (
    "writer" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    PRIMARY KEY ("writer", "number")
);
