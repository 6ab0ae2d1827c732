// Package history is the engine of imports: it stores each distinct row of an
// updater once, with the interval of that updater's operations in which it
// lives, so that an import costs what changed, not what exists. It compares a
// feed with the open rows by hash and writes the difference in short
// transactions.
//
// # Rules
//
// An import compares its feed with the updater's open rows and writes the
// changes. These rules hold at every moment, including after a crash:
//
//  1. An updater's operations are numbered by a counter that never repeats. A
//     row lives over [added, removed) and is visible at operation s when
//     added <= s < removed. The current view is visibility at the updater's
//     greatest complete operation.
//
//  2. Import M marks known rows as seen, inserts unknown ones as [M, open) and
//     closes open ones that are missing in the feed with removed = M, in short
//     transactions that nobody can see. One last commit lists M, which makes M
//     complete. Closed rows are never changed again.
//
//  3. A crashed or failed import needs no repair: its number is not listed, so
//     its rows are visible nowhere. The open ones serve as the base of the next
//     import, and the closed ones are garbage. The next import adds the open
//     rows that it had not yet listed by hash, and removes the closed ones from
//     that list.
//
//  4. Deleting an operation deletes only its entry in the list.
//
//  5. A hash that comes back is a second row with a disjoint interval, so
//     differences are computed by hash.
//
//  6. A row is garbage if no listed operation and no pin is in its interval.
//     Garbage is collected in short steps, never while its updater imports.
//
//  7. A Snapshot and a Pin hold rows, not entries of the list. The operation
//     that was announced last is such a pin.
//
//  8. There is one import for each updater at a time.
//
//  9. A delta import M applies changes to the rows of one listed operation, its
//     base. It first makes the open rows those of the base: rows closed since
//     are opened again as copies [M, open), and rows opened since are to be
//     closed; no closed row is changed. Then it adds rows by rule 2, and at the
//     end closes the removed ones with removed = M unless they are added, too.
//     If the base is not listed, a removed row is not in it or an added one
//     already is, the delta is refused, because it is relative to another state.
package history
