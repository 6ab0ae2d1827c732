// Package enrichment writes the records of enrichment feeds: their hash, and the
// tables that package history imports them into.
package enrichment
