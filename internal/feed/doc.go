// Package feed is the toolkit of feeds: their configuration tables and
// formats, the contracts that an updater may implement in addition to
// clair.Updater, and bounded readers of JSON, XML and tar that yield one
// record at a time. The packages below updater, and enrich, use it.
package feed
