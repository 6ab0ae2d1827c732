// Package window implements the cache window through which many scanners read
// a platform's vulnerability list together.
//
// Scanners do not send queries. A scanner opens a session for a platform and
// reads the platform's whole list. The window holds one pane of the list at a
// time: the pane is prepared once and read by every active session, and the
// window slides when every active session has acknowledged the pane or has
// ended. A pass is one walk through the list, from its own snapshot.
//
// The package is a pure state machine: it has no clock, starts no goroutine,
// and knows neither SQL nor HTTP. Every method that depends on the time takes
// it as a parameter. Methods hold one mutex, never block and never call out.
// The driver (package server/patches) asks for a Task, performs it and reports
// the outcome, one task at a time.
//
// # States of a session
//
//	state     event                                          next state
//	-         Open; the platform has no sessions             active, in a new pass
//	-         Open; the pass is on its first pane, the       active, in that pass
//	          queue is empty, fewer than max_active are
//	          active
//	-         Open; otherwise, if fewer than max_queued      queued
//	          sessions wait
//	-         Open; otherwise                                - (ErrQueueFull)
//	-         OpenHeld; the platform has no sessions         queued
//	queued    Release; among the first max_active            active, in a new pass
//	queued    Refuse                                         ended (unknown-platform)
//	queued    every active session has finished or ended,    active, in a new pass
//	          and this one is among the first max_active
//	active    acknowledges a page other than the pane's      active
//	          last
//	active    acknowledges the last page of the pane         waiting, or active if
//	                                                         the window slides
//	active    acknowledges the last page of the list         done
//	waiting   every active session has acknowledged the      active, once the next
//	          pane or ended                                  pane is prepared
//	any       Leave                                          -
//	any       no request for session_timeout                 ended (session-expired)
//	active    pane not acknowledged within pane_timeout      ended (session-too-slow)
//	active    active for longer than pass_timeout in all     ended (session-too-slow)
//	active,   the list cannot be read                        ended (session-failed)
//	waiting
//	done      repeats its last request within                done
//	          session_timeout
//	done      session_timeout has passed                     ended (session-finished)
//	ended     so many sessions ended since that this one     - (ErrUnknown)
//	          is forgotten
//
// A session whose pass has no pane yet is active and receives no rows. Neither
// that session nor a waiting one is subject to pane_timeout and pass_timeout.
// While a request is held or answered, it counts as activity.
//
// # States of a pass
//
//	state       event                                    next state
//	-           a session is activated                   wanting its first pane
//	wanting     its turn, and memory is available        reading
//	reading     Prepared                                 open, or ready if read ahead
//	reading     TooSmall                                 wanting more, first in line
//	reading     Failed                                   over
//	open        its turn, memory is available and no     reading ahead
//	            pass waits for a pane to continue
//	open        slides; the next pane is ready           open
//	open        slides; the next pane is not ready       wanting
//	any         its last session ends                    over
//
// # Invariants
//
//  1. Bytes in use never exceed the limit, except for a single row that is
//     larger than the limit; it is served when no other bytes are in use.
//     Bytes are reserved before rows are read, and stay in use until the pane
//     has been released and no response that contains one of its pages is
//     being sent.
//  2. Passes are granted memory in the order in which they asked for a pane. A
//     pass that slides releases its pane before it asks for the next, and
//     reads ahead only if no pass waits for a pane to continue. So two passes
//     never wait for each other.
//  3. A session that is done has acknowledged every row of its pass, in order
//     and once. If rows were sent and not acknowledged, the same rows are sent
//     again.
//  4. Sessions of a platform are activated in order of arrival, and never
//     replace one that has not finished.
//  5. Every session is activated, denied or ended in bounded time: every pane
//     is acknowledged within pane_timeout and every pass within pass_timeout,
//     and the driver releases or refuses a held platform.
//  6. Time does not go back: a time earlier than one seen before counts as the
//     latest one.
package window
