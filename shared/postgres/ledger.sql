-- The version of all that stands in this schema; a program that knows only older ones leaves it alone.
-- Tables from before this one, which an administrator's script may meet, are of version 1 and stay so here.
CREATE TABLE IF NOT EXISTS switchback.format (version integer NOT NULL);
INSERT INTO switchback.format SELECT CASE WHEN to_regclass('switchback.ledger') IS NULL THEN 3 ELSE 1 END
 WHERE NOT EXISTS (SELECT FROM switchback.format);

-- One row a stream: the last group applied, written in the transaction that applied it.
-- token is the fence: a sink that comes later raises it, and the one before can commit nothing more.
CREATE TABLE IF NOT EXISTS switchback.ledger (
    stream         text PRIMARY KEY,
    token          bigint NOT NULL DEFAULT 0,
    incarnation    text NOT NULL DEFAULT '',
    lease          bigint NOT NULL DEFAULT 0,
    number         bigint NOT NULL DEFAULT 0,
    log_offset     bigint NOT NULL DEFAULT -1,
    epoch          integer NOT NULL DEFAULT 0,
    seq            bigint NOT NULL DEFAULT 0,
    source_time_ms bigint NOT NULL DEFAULT 0,
    copied         boolean NOT NULL DEFAULT false,
    applied_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The shape of the source's tables that the replica was made from (MessagePack, shared.tables.Schema).
CREATE TABLE IF NOT EXISTS switchback.source_schema (
    stream text PRIMARY KEY,
    body   bytea NOT NULL
);

-- How far each table's snapshot has come, and whether the table is our own, whose columns may be widened.
CREATE TABLE IF NOT EXISTS switchback.copied (
    stream     text NOT NULL,
    table_name text NOT NULL,
    row_count  bigint NOT NULL DEFAULT 0,
    done       boolean NOT NULL DEFAULT false,
    created    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (stream, table_name)
);
