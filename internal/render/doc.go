// Package render writes the findings of a manifest as a table for people, as
// Clair's JSON, SARIF, CycloneDX, CSV or one HTML page.
//
// Every format is written from one Report. Filters are applied once, when the
// Report is made, so that the formats cannot disagree about the findings. The
// package does not decide which packages are affected, how severe that is or how
// old the data are: its caller says so in Input.
//
// Names and texts come from packages and feeds, which anyone may write. New
// removes control characters from them for all formats except Clair's JSON,
// which must have the data unchanged and escapes them instead.
package render
