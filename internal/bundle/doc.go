// Package bundle transports feeds to machines without internet access: it
// writes the latest operations of all feeds into one stream and reads them
// back. It knows neither databases nor HTTP.
//
// # Format
//
// A bundle is one zstd frame (RFC 8878) followed by one skippable frame, so
// that "zstd -dc" shows its contents. The frame contains lines of JSON. The
// first is the head:
//
//	{"oriel_bundle":1,"as_of":…,"by":…,"feeds":[…]}
//
// with the state of each feed: updater, kind, format, fingerprint, ref and
// date of its operation, and when it was last known to be current (checked).
// For each of these feeds, in the same order, there are lines of
//
//	{"distribution":{"id":…}} {"repository":{"id":…}}   what later rows refer to by id
//	{"advisory":{…,"rows":[…]}}                         an advisory with affected packages
//	{"enrichment":{"tags":[…],"data":"…"}}              data is JSON as it is stored, as a text
//
// and one that ends the feed, with the number of its advisories or
// enrichments, the number of its rows, and the SHA-256 of its other lines:
//
//	{"end":{"updater":…,"kind":…,"records":N,"rows":N,"sha256":…}}
//
// The skippable frame has 96 bytes: an Ed25519 signature, or zeros if the
// bundle is not signed, and the SHA-256 of all bytes before it, including the
// signature. The signed text is "oriel bundle 1\n" followed by the SHA-256 of
// the zstd frame.
//
// A change needs a new version if a reader of version 1 would take it for
// damage or lose something.
//
// # Invariants
//
// 1. Open returns a Bundle only after it has read all of it and verified its
// checksums. If Open fails, nothing has been applied.
package bundle
