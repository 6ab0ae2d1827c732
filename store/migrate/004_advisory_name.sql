-- Advisories by name: what a delta replaces.
CREATE INDEX advisory_name ON advisory (name);
