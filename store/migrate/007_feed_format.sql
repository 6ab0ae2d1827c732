-- What format a feed is of, so that what was brought from elsewhere is read as
-- what it is though no configuration names it.
ALTER TABLE updater_status ADD COLUMN format TEXT NOT NULL DEFAULT '';
