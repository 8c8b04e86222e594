-- Roles for Switchback in the database {database}, tables in the schema {schema}.  Run it as a superuser, for
-- instance with psql; it can be run again.  Passwords are not in it: set them afterwards, \password {capture} and so on.

-- The owner cannot log in.  It has the schema switchback and the tables that the sink makes.
DO $$ BEGIN CREATE ROLE {owner} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE {capture} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE {sink} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE {operator} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE {status} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT CONNECT ON DATABASE {database} TO {capture}, {sink}, {operator}, {status};
GRANT TEMPORARY ON DATABASE {database} TO {owner};
GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner};
GRANT USAGE ON SCHEMA {schema} TO {capture}, {operator};

-- What the daemons keep here is made now, by the owner, so that nobody needs CREATE on the database.
CREATE SCHEMA IF NOT EXISTS switchback AUTHORIZATION {owner};
SET ROLE {owner};
{tables}
RESET ROLE;

-- The sink makes tables, indexes and triggers: it is the owner from its first statement on, and what it makes is
-- the owner's.  Capture is a member: putting the fence up is ALTER TABLE, which is the owner's alone.
GRANT {owner} TO {sink}, {capture};
ALTER ROLE {sink} IN DATABASE {database} SET role = {owner};

-- The target's own triggers and foreign keys stay silent under the sink.  Before PostgreSQL 15 only a superuser may
-- do that: there the sink goes on without, and `switchback check` says what that means.
DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 150000 THEN
        EXECUTE 'GRANT SET ON PARAMETER session_replication_role TO ' || quote_ident({owner_name});
    END IF;
END $$;

-- The operator compares rows, and notes that it did.  Cutover and rollback are asked for in the log, not here.
GRANT USAGE ON SCHEMA switchback TO {operator};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema}, switchback TO {operator};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {operator};
GRANT INSERT, UPDATE ON switchback.verification TO {operator};
GRANT SELECT ON SEQUENCE switchback.refused, switchback.refused_last TO {operator};

-- To name a session that holds a cutover up, one must see the sessions of others.
GRANT pg_read_all_stats TO {capture}, {operator};

-- Status reads how far things are, and no row of the application's: of the change log only which changes there are.
GRANT USAGE ON SCHEMA switchback TO {status};
GRANT SELECT ON switchback.format, switchback.ledger, switchback.side, switchback.copied, switchback.captured TO {status};
GRANT SELECT (xid, seq, number, ms) ON switchback.changes TO {status};
GRANT SELECT ON SEQUENCE switchback.refused, switchback.refused_last TO {status};
