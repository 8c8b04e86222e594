-- From the tables of the first versions, which said no number, to format 2.
CREATE TABLE switchback.format (version integer NOT NULL);
INSERT INTO switchback.format VALUES (2);

ALTER TABLE IF EXISTS switchback.side ADD COLUMN IF NOT EXISTS shape text NOT NULL DEFAULT '';
