// Package render writes what was found in a manifest as a table for people,
// as Clair's JSON, SARIF, CycloneDX, CSV or one HTML page.
//
// Every format is written from one Report, and filters are applied to that
// Report alone, once, when it is made. So the formats cannot disagree about
// what was found. It decides nothing: what affects what, how bad it is and how
// old the data are, it is told.
//
// Names and texts come from packages and feeds, which anyone may write. New
// takes control characters out of them for all formats but Clair's JSON, which
// has to give the data as they are and escapes them instead.
package render
