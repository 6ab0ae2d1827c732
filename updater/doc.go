// Package updater imports feeds as update operations. It has the Manager, which
// runs updaters, and their catalogue; the packages below it have the formats.
//
// Its invariants:
//
//  1. A feed that fails, panics or hangs affects no other feed, and its last
//     good data stay. The result of each run is recorded, failures included.
//  2. A record that cannot be used is skipped and counted. If hardly any record
//     of a feed can be used, or it has none, the run fails and makes no
//     operation: it must not clear the existing data.
//  3. Feeds are streams. Nothing here holds more than one record and small
//     caches, however large the feed.
//  4. A feed that reports its changes leads to the same state as the whole feed,
//     or else the whole is fetched. A changed record that cannot be read keeps
//     its old rows.
//
// A new format is a package with its parser and one line in Formats.
package updater
