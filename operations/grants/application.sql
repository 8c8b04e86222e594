
-- The application, for the time when PostgreSQL is the primary; of Switchback's schema it needs nothing.
GRANT USAGE ON SCHEMA {schema} TO {application};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {application};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application};
