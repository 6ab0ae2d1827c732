// Package clair holds the nouns of vulnerability management in the words and
// JSON forms of Clair v4: vulnerabilities, packages, distributions, index and
// vulnerability reports, update operations, notifications and enrichments. It
// also has the small interfaces that feeds and enrichers implement, the types
// in which the store answers (Lookup, Section, Impact and the like, since the
// store imports no other package), and the sentinel errors that every package
// wraps.
//
// It does no I/O, decides nothing and imports no other package of the module,
// so that every package may use it.
package clair
