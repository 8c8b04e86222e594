-- How our triggers were left; empty, capture makes them anew.
ALTER TABLE IF EXISTS switchback.side ADD COLUMN IF NOT EXISTS guards text NOT NULL DEFAULT '';
