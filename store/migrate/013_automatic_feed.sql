-- Feeds that are fetched once something needs them, and states that are held
-- back because they are much smaller than the one before.
ALTER TABLE updater_status ADD COLUMN needed INTEGER;
ALTER TABLE updater_status ADD COLUMN needed_for TEXT NOT NULL DEFAULT '';
ALTER TABLE updater_status ADD COLUMN held_records INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updater_status ADD COLUMN held_runs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updater_status ADD COLUMN held_since INTEGER;
