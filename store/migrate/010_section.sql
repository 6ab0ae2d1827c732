-- The rows of each updater by distribution and repository: how the list of one
-- platform is read.
CREATE INDEX vuln_row_section ON vuln_row (updater_id, dist_id, repo_id);
