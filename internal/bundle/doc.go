// Package bundle carries feeds to where there is no internet: it writes the
// latest operations of all feeds into one stream and reads them back. It knows
// neither databases nor HTTP.
//
// # Format
//
// A bundle is one zstd frame (RFC 8878) followed by one skippable frame, so
// that "zstd -dc" shows what is in it. The frame holds lines of JSON. The first
// is the head:
//
//	{"oriel_bundle":1,"as_of":…,"by":…,"feeds":[…]}
//
// with the state of each feed: updater, kind, format, fingerprint, ref and date
// of its operation, and when it was last known to be current (checked). For
// each of these feeds in their order follow lines of
//
//	{"distribution":{"id":…}} {"repository":{"id":…}}   what later rows refer to by id
//	{"advisory":{…,"rows":[…]}}                         an advisory with affected packages
//	{"enrichment":{"tags":[…],"data":"…"}}              data is JSON as it is stored, as a text
//
// and one that ends the feed, with what is known only then: its advisories or
// enrichments, its rows, and the SHA-256 of its lines but for this one:
//
//	{"end":{"updater":…,"kind":…,"records":N,"rows":N,"sha256":…}}
//
// The skippable frame holds 96 bytes: an Ed25519 signature, or zeros where the
// bundle is not signed, and the SHA-256 of all bytes before it, the signature
// included. What is signed is the text "oriel bundle 1\n" followed by the
// SHA-256 of the zstd frame.
//
// A change that a reader of version 1 could not tell from damage, or that it
// would lose something by, makes a new version.
//
// # Invariants
//
//  1. Open returns a Bundle only after all of it has been read and has its
//     sums: it is what a writer wrote. Whoever applies a Bundle has not begun
//     when Open fails.
//  2. The rows of a state end without an error only if there are as many as its
//     end says and their lines still have their sum.
//  3. Memory does not depend on the length of a bundle.
package bundle
