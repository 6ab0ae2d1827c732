// Package severity is the one judgement of how bad a vulnerability is and how
// soon something should be done about it. Reports, filters, gates, counts,
// webhooks and feeds use it, so that they cannot disagree.
//
// The words and their order are Clair's (clair.Severity). This package turns
// what feeds write (words, scores, CVSS vectors) into them, and derives a
// Priority from the severity, the enrichments and whether there is a fix.
// docs/priority.md is the documentation of those rules for users.
package severity
