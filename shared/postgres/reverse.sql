-- What PostgreSQL needs to be a primary: who it is, the change log, the fence.

-- One row a stream: its role, changed only in the transactions that put the fence up or take it down.
-- lease is that of the capture that may publish; opened_* is the group behind which it became the primary,
-- shape the application's tables at that moment, as JSON, guards how our triggers were left (see shared.postgres.guards).
CREATE TABLE IF NOT EXISTS switchback.side (
    stream        text PRIMARY KEY,
    role          text NOT NULL DEFAULT 'replica' CHECK (role IN ('primary', 'replica')),
    epoch         integer NOT NULL DEFAULT 0,
    attempt       text NOT NULL DEFAULT '',
    lease         bigint NOT NULL DEFAULT 0,
    incarnation   text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    checkpoint    text NOT NULL DEFAULT '',
    opened_lease  bigint NOT NULL DEFAULT 0,
    opened_number bigint NOT NULL DEFAULT 0,
    opened_offset bigint NOT NULL DEFAULT -1,
    shape         text NOT NULL DEFAULT '',
    guards        text NOT NULL DEFAULT ''
);

-- Every change of role, for whoever asks later.
CREATE TABLE IF NOT EXISTS switchback.journal (
    stream  text NOT NULL,
    epoch   integer NOT NULL,
    role    text NOT NULL,
    attempt text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The number by which the change log knows a table in one shape; digest is of the triggers made for it.
CREATE TABLE IF NOT EXISTS switchback.captured (
    number     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream     text NOT NULL,
    table_name text NOT NULL,
    columns    text[] NOT NULL,
    digest     text NOT NULL DEFAULT '',
    UNIQUE (stream, table_name, columns)
);

-- The change log.  Read by xid up to the oldest transaction under way, in the order of seq (see capture.postgres).
CREATE TABLE IF NOT EXISTS switchback.changes (
    seq    bigint GENERATED ALWAYS AS IDENTITY,
    xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    number integer NOT NULL,
    op     "char" NOT NULL,
    ms     bigint NOT NULL,
    image  text[] NOT NULL,
    PRIMARY KEY (xid, seq)
);

-- Whether this transaction, or one of its savepoints, wrote the row's version: a version that one can see, and whose
-- writer has not ended, is one's own.  Its number has 32 bits; ours come after the transaction's own, so one that would
-- be in the future is of a row that lies there unchanged since the numbers began anew.
CREATE OR REPLACE FUNCTION switchback.wrote(version xid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    own bigint := pg_current_xact_id()::text::bigint;
    writer bigint := own + ((version::text::bigint - own) & 4294967295);
BEGIN
    IF writer = own THEN
        RETURN true;
    END IF;
    BEGIN
        RETURN pg_xact_status(writer::text::xid8) = 'in progress';
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN false;
    END;
END $$;

-- Sequences do not roll back, so a refused write leaves a trace though its transaction does not:
-- how many there were, and table and process of the last one.
CREATE SEQUENCE IF NOT EXISTS switchback.refused MINVALUE 0 START 0;
CREATE SEQUENCE IF NOT EXISTS switchback.refused_last MINVALUE 0 START 0;

CREATE OR REPLACE FUNCTION switchback.fence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF current_setting('switchback.applying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM nextval('switchback.refused');
    PERFORM setval('switchback.refused_last', (TG_RELID::bigint % 2147483648) * 4294967296 + pg_backend_pid());
    RAISE EXCEPTION USING
        ERRCODE = 'SB001',
        MESSAGE = format('switchback: table %s is closed for writes, SQLite is the primary', TG_TABLE_NAME),
        HINT = 'Write to the primary and try the whole transaction again there.';
END $$;
