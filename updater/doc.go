// Package updater brings feeds in and makes update operations of them: the
// Manager, which runs updaters, and one file per format of feed.
//
// What it promises:
//
//  1. A feed that fails, panics or hangs harms no other feed, and its last
//     good data stays. How each run went is recorded, failures included.
//  2. A record that cannot be used is skipped and counted. A feed of which
//     hardly anything can be used is an error and makes no operation, and so
//     is one without any record: neither may clear what was known.
//  3. Feeds are streams. Nothing here holds more than one record and small
//     caches, however large the feed.
//  4. A feed that tells what changed brings what its whole would have brought,
//     or else its whole is fetched. A changed record that cannot be read keeps
//     its old rows.
//
// A new format is one file with its parser and one line in Formats.
package updater
