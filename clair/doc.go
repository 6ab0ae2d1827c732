// Package clair holds the nouns of vulnerability management in the words and
// JSON forms of Clair v4: vulnerabilities, packages, distributions, index and
// vulnerability reports, update operations and enrichments, together with the
// small interfaces that feeds and enrichers implement and the sentinel errors
// that every other package wraps.
//
// It does no I/O and imports nothing else of this module, so any room of the
// house may use its words.
package clair
