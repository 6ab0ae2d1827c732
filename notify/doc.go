// Package notify tells webhooks what update operations mean for manifests: it
// plans a notification of each completed operation, persists it, and delivers
// it until it is received or given up.
//
// It holds no state that matters: what is to be planned, what has been and how
// far each delivery is are rows, so a crash at any moment repeats a step and
// loses nothing.
//
//  1. Operations are planned one at a time, in the order in which they
//     completed. What is compared is the state of all updaters that
//     notifications were last made of with the same state but for the
//     operation's updater. So each change is told of once, although operations
//     are skipped, deleted or retired, and although several updaters name one
//     vulnerability.
//
//  2. An operation has one notification at most. Its id follows from the
//     operation's and is fixed before anything is delivered. The commit that
//     makes it visible also marks the operation and writes the receipts.
//
//  3. Delivery is at least once. An attempt is recorded before it is made and
//     its end after; a crash between the two makes another.
//
//  4. A receiver that deletes the notification while it is being delivered has
//     it: the attempt's end does not undo that.
//
//  5. Each webhook has a goroutine and receipts of its own, so that none waits
//     for another.
package notify
