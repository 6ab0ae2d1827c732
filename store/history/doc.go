// Package history is the engine of imports: it keeps each distinct row of an
// updater once, living over an interval of that updater's operations, so that
// an import costs what changed and not what exists. It compares a feed with
// the open rows by hash and writes the difference in short transactions.
//
// # Rules
//
// An import compares its feed with the updater's open rows and writes what
// changed. These rules hold at every moment, crashes included:
//
//  1. An updater's operations are numbered by a counter that never repeats. A
//     row lives over [added, removed) and is visible at operation s when
//     added <= s < removed. The current view is visibility at the updater's
//     greatest complete operation.
//
//  2. Import M marks known rows as seen, inserts unknown ones as [M, open) and
//     closes open ones that the feed lacks with removed = M, in short
//     transactions that nobody can see. One last commit lists M, and with it
//     makes M complete. Closed rows are never touched again.
//
//  3. A crashed or failed import needs no undo: its number is listed nowhere,
//     so its rows are visible nowhere; the open ones serve as the base of the
//     next import and the closed ones are garbage. The next import lists those
//     of its open rows by hash that it had not, and unlists the closed ones.
//
//  4. Deleting an operation deletes its listing alone.
//
//  5. A hash that comes back is a second row with a disjoint interval, so
//     diffs go by hash.
//
//  6. A row is garbage when no listed operation and no pin lies in its
//     interval. Garbage goes in short steps, never from under an import.
//
//  7. A Snapshot and a Pin hold rows, not the listing of operations. The
//     operation that notifications were last made of is such a pin.
//
//  8. One import per updater at a time.
//
//  9. A delta import M applies changes to what one listed operation, its base,
//     sees. It first makes the open rows those of the base: what was closed
//     since is opened again as a copy [M, open), and what was opened since is
//     to be closed; no closed row is touched. Then additions go by rule 2, and
//     at the end the rows taken away are closed with removed = M unless they
//     are added too. A base that is not listed, a removed row that the base
//     does not see and an added one that it sees already are refused: the
//     changes are then relative to something else.
package history
