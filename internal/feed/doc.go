// Package feed is the toolkit of feeds: their configuration tables and formats,
// the contracts that an updater may fulfil beyond clair.Updater, and bounded
// readers of JSON, XML and tar that hand records on one at a time. Packages
// below updater, and enrich, are written with it.
package feed
