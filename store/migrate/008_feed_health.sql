-- How far a feed's advisories reach, and when it is run next.
ALTER TABLE updater_status ADD COLUMN newest_advisory INTEGER;
ALTER TABLE updater_status ADD COLUMN next_run INTEGER;
UPDATE updater_status SET newest_advisory = 1000 * (
    SELECT max(a.issued) FROM updater AS u
    JOIN vuln_row AS r ON r.updater_id = u.id AND r.removed IS NULL
    JOIN advisory AS a ON a.id = r.advisory_id
    WHERE u.name = updater_status.updater AND a.issued < unixepoch() + 86400);
