// Package match decides which vulnerabilities affect which packages.
//
// Two questions have their one answer here. Whether a vulnerability affects a
// package: reports, counts, the notifier and the scanner all use the same rules
// (affects.go). And whether a package's place is covered by a feed, without
// which no findings mean nothing (coverage.go). A Matcher turns an index report
// into a vulnerability report: it looks candidates up by the fields that a rule
// compares literally, and asks the rule about the rest.
//
// The rules follow Clair's matchers, with these differences, each of which
// Clair's users reported as a wrong finding:
//
//   - A record is judged by one rule: a language package by its ecosystem,
//     even if it is part of a distribution, so that a Python "requests" is not
//     taken for the distribution's package of that name.
//   - A match by the name of the source compares the version of the source if
//     the index report has one.
//   - Versions are compared as the ecosystem writes them. Normalized versions
//     have no pre-releases and count only if there is nothing else.
//   - Versions that cannot be compared are listed; they never fail a report.
//   - An advisory is about its own flavour of a package and stream of a kernel.
//
// The package does no I/O of its own and keeps no state between calls.
package match
