// Package enrich has what other sources say of vulnerabilities: how severe
// they are (CVSS), how likely to be exploited (EPSS), and whether they already
// are (KEV). A feed and the enricher that reads its records stand side by
// side, one file each, and All lists them.
//
// An enricher belongs to feeds by their format and never by their name: it is
// given a getter that reads the records of the feeds of its format and no
// others. What it adds is keyed by vulnerability, through the CVEs that the
// vulnerability's name, aliases and links contain.
//
// What changes with every publication of a feed, though no record did (the
// date of EPSS' scores, the version of CISA's catalogue), is kept in a record
// of its own and put into the others when they are read. So two days of
// unchanged scores cost one record and not all of them.
package enrich
