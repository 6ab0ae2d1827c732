// Package enrich adds data of other sources about vulnerabilities: how severe
// they are (CVSS), how likely to be exploited (EPSS), and whether they are
// exploited (KEV). Each file has a feed and the enricher that reads its
// records, and All returns them.
//
// An enricher belongs to feeds by their format, never by their name: its
// getter reads only records of feeds of that format. Its results are keyed by
// vulnerability, through the CVEs in the vulnerability's name, aliases and
// links.
//
// Data that change with every publication of a feed, although no record did
// (the date of EPSS' scores, the version of CISA's catalog), are stored in a
// record of their own and added to the others when they are read. So two days
// of unchanged scores cost one record, not all of them.
package enrich
