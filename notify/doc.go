// Package notify notifies webhooks about the changes of update operations for
// manifests: it plans a notification for each completed operation, stores it,
// and delivers it until it is received or given up.
//
// All of its state is in rows: which operations are to be planned, which have
// been, and the progress of each delivery. A crash at any moment repeats a
// step and loses nothing.
//
//  1. Operations are planned one at a time, in the order in which they
//     completed. Each plan compares the last announced state of all updaters
//     with the same state in which the operation's updater is further on. So
//     each change is announced once, although operations are skipped, deleted
//     or retired, and although several updaters name one vulnerability.
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
