-- From the tables of the first versions, which said no number, to format 2.
CREATE TABLE IF NOT EXISTS switchback.format (version integer NOT NULL);
INSERT INTO switchback.format SELECT 1 WHERE NOT EXISTS (SELECT FROM switchback.format);

ALTER TABLE IF EXISTS switchback.side ADD COLUMN IF NOT EXISTS shape text NOT NULL DEFAULT '';
