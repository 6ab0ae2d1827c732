// Package window decides who reads what of a platform's list, and when.
//
// Scanners do not query. They open sessions and read the whole list of a
// platform together, through a window that holds one pane of it at a time. A
// pane is prepared once and read by every active session; the window slides
// when each of them has acknowledged it or is gone. A pass is one walk through
// the list, from a snapshot of its own.
//
// The package is a state machine and nothing else: it has no clock, starts no
// goroutine, and knows neither SQL nor HTTP. Every method takes the time, holds
// one mutex, and neither blocks nor calls out. Whoever drives it asks for a
// Task, does it and says what came of it, one at a time.
//
// # States of a session
//
//	state     what happens                                   next
//	-         Open; nobody reads the platform                active, in a new pass
//	-         Open; the pass is on its first pane, nobody    active, in that pass
//	          is queued, fewer than max_active are active
//	-         Open; otherwise, fewer than max_queued wait    queued
//	-         Open; otherwise                                - (ErrQueueFull)
//	queued    all active sessions are done or gone, and it   active, in a new pass
//	          is among the first max_active
//	active    acknowledges a page that is not the last of    active
//	          the pane
//	active    acknowledges the last page of the pane         waiting, or active where
//	                                                         the window slides
//	active    acknowledges the last page of the list         done
//	waiting   every active session has acknowledged the      active, once the next
//	          pane or is gone                                pane is there
//	any       Leave                                          -
//	any       no request for session_timeout                 gone (session-expired)
//	active    the pane not acknowledged in pane_timeout      gone (session-too-slow)
//	active    active for pass_timeout in all                 gone (session-too-slow)
//	active,   the list cannot be read                        gone (session-failed)
//	waiting
//	done      asks again with the same cursor, within        done
//	          session_timeout
//	done      later                                          gone (session-finished)
//	gone      so many others ended since that it is          - (ErrUnknown)
//	          forgotten
//
// A session whose pass has no pane yet is active and gets nothing. It, and one
// that waits, is off the clocks of pane_timeout and pass_timeout. A request
// that is held or being answered counts as a request for as long as it lasts.
//
// # States of a pass
//
//	state       what happens                             next
//	-           a session is activated                   wanting its first pane
//	wanting     its turn, and there is memory            reading
//	reading     Prepared                                 open; or, ahead of time, ready
//	reading     TooSmall                                 wanting more, ahead of others
//	reading     Failed                                   over
//	open        its turn, there is memory and nobody     reading ahead
//	            wants a pane to go on
//	open        slides; the next pane is ready           open
//	open        slides; it is not                        wanting
//	any         no session is left                       over
//
// # Invariants
//
//  1. Bytes in use never exceed the limit, but for one row that is larger
//     than all of it, which is served when nothing else is held. Bytes are
//     reserved before rows are read; they are in use until the pane has been
//     released and nobody is still being sent a page of it.
//  2. Passes get memory in the order in which they came to want a pane. One
//     that slides releases its pane before it wants the next, and reads ahead
//     only while none wants a pane to go on: so none waits for another that
//     waits for it.
//  3. A session that is done has acknowledged every row of its pass, in order
//     and each once. What was sent and not acknowledged is sent again, the same.
//  4. Sessions of a platform are activated in the order of arrival, and never
//     in place of one that has not finished.
//  5. Every session is active, denied or gone in bounded time, as every pane is
//     acknowledged in pane_timeout and every session through in pass_timeout.
//  6. Time does not go back: an earlier time than was seen counts as that one.
package window
