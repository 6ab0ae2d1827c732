-- When the rows of an updater were last read by a reader of another revision:
-- the operation that it made, its predecessor, and whether both had the same
-- bytes. A difference across it is not all the feed's.
ALTER TABLE updater ADD COLUMN reread_from INTEGER;
ALTER TABLE updater ADD COLUMN reread_at INTEGER;
ALTER TABLE updater ADD COLUMN reread_same INTEGER NOT NULL DEFAULT 0;
