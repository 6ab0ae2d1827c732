// Package match decides which vulnerabilities affect which packages.
//
// Affects is the one answer to "is it affected": the server's reports, the
// notifier and the scanner all ask it. A Matcher turns a whole index report
// into a vulnerability report, looking candidates up by what each rule
// compares literally and asking the same rules about the rest.
//
// What is compared, rule by rule, follows Clair's matchers, with these
// differences, each of which Clair's users reported as a wrong finding:
//
//   - A record is judged by one rule: a language package by its ecosystem
//     even where it lies on a distribution, so that a Python "requests" is
//     not taken for the distribution's package of that name.
//   - A hit through the source's name compares the source's version where the
//     index report gives one.
//   - Versions are compared as the ecosystem writes them. Normalised versions
//     have no place for pre-releases and count only where there is nothing
//     else.
//   - A pair of versions that cannot be compared is skipped and told of; it
//     never fails a report.
//
// The package does no I/O of its own and keeps no state between calls.
package match
