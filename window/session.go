package window

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
)

// SessionID identifies a session. It is unguessable.
type SessionID string

// State is the state of a session, as clients see it.
type State string

// The states of a session; see the package documentation.
const (
	Queued  State = "queued"
	Active  State = "active"
	Waiting State = "waiting"
	Done    State = "done"
)

// Session describes a session to its client.
type Session struct {
	ID       SessionID
	Platform string
	State    State
	// Position is the position in the queue, from 1; 0 if the session is not
	// queued.
	Position int
	// PollAfter is how long to wait before the next request, and Expires when
	// the session ends without one.
	PollAfter time.Duration
	Expires   time.Time
}

// The errors of Open.
var (
	// ErrQueueFull is returned if max_queued sessions are queued.
	ErrQueueFull = fmt.Errorf("%w: the queue of sessions is full", clair.ErrUnavailable)
	// ErrClientFull is returned if the client has max_per_client sessions.
	ErrClientFull = fmt.Errorf("%w: this address has reached its maximum number of sessions", clair.ErrUnavailable)
)

// The errors of requests, in addition to EndedError.
var (
	// ErrUnknown is returned if no session has the id, or it was forgotten.
	ErrUnknown = fmt.Errorf("%w: no session has this id", clair.ErrNotFound)
	// ErrBusy is returned if too many requests of a session are in progress.
	ErrBusy = fmt.Errorf("%w: this session has other requests in progress", clair.ErrUnavailable)
	// ErrCursor is returned if the cursor is neither the session's latest nor
	// the one before it.
	ErrCursor = errors.New("the cursor is neither this session's latest nor the one before it")
)

// Reason is why a session ended, as clients see it.
type Reason string

// The reasons for the end of a session; see the package documentation.
const (
	Finished Reason = "session-finished"
	Expired  Reason = "session-expired"
	TooSlow  Reason = "session-too-slow"
	Failing  Reason = "session-failed"
	// Unavailable is the reason of a session of a held platform that was
	// refused.
	Unavailable Reason = "unknown-platform"
)

// EndedError is returned for requests of a session that has ended.
type EndedError struct {
	Reason Reason
	// Platform is the session's platform, and Detail why its list is not
	// available, if the reason is Unavailable.
	Platform, Detail string
}

// Error describes the reason.
func (e *EndedError) Error() string {
	switch e.Reason {
	case Finished:
		return "the session has read the whole list"
	case Expired:
		return "the session made no request within session_timeout"
	case TooSlow:
		return "the session did not finish the pane or the list in time, while others waited for it"
	case Unavailable:
		return "platform: " + e.Detail
	}
	return "the list could not be read to its end; open a new session"
}

// session is a queued or active session, guarded by the machine's mutex.
type session struct {
	id       SessionID
	client   string
	platform *platform
	pass     *pass // nil while queued
	// The rows before acked have been acknowledged; those from acked to sent
	// have been sent but not acknowledged.
	acked, sent int
	// seen is when the last request began or ended, and busy the number of
	// requests in progress.
	seen time.Time
	busy int
	// since is when rows became available, the zero time if none are; used is
	// the total of earlier such periods.
	since time.Time
	used  time.Duration
	// wake is closed, by signal alone, when there may be rows; nil if no
	// request waits.
	wake chan struct{}
}

// maxBusy is the maximum number of requests of one session in progress. A
// client that repeats a request before it notices that the first is lost makes
// two.
const maxBusy = 4

// signal wakes the requests that wait for the session.
func (s *session) signal() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// waiter returns the channel that signal closes.
func (s *session) waiter() <-chan struct{} {
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.wake
}

// readable reports whether there are rows to read.
func (s *session) readable() bool {
	return s.pass != nil && s.pass.open != nil && s.acked < s.pass.open.end
}

// start starts the clocks of pane_timeout and pass_timeout if there are rows to
// read.
func (s *session) start(now time.Time) {
	if s.readable() && s.since.IsZero() {
		s.since = now
	}
}

// stop stops the clocks.
func (s *session) stop(now time.Time) {
	if !s.since.IsZero() {
		s.used += now.Sub(s.since)
		s.since = time.Time{}
	}
}

// deadline returns when a session whose clocks run is too slow.
func (s *session) deadline(c Config) time.Time {
	return s.since.Add(min(time.Duration(c.PaneTimeout), time.Duration(c.PassTimeout)-s.used))
}

// overdue returns the reason for which a session must be ended, "" if there is
// none.
func (s *session) overdue(now time.Time, c Config) Reason {
	switch {
	case s.busy == 0 && now.Sub(s.seen) >= time.Duration(c.SessionTimeout):
		return Expired
	case !s.since.IsZero() && !now.Before(s.deadline(c)):
		return TooSlow
	}
	return ""
}

func (s *session) state() State {
	switch {
	case s.pass == nil:
		return Queued
	case s.acked > 0 && !s.readable():
		return Waiting
	}
	return Active
}

// cursor returns the cursor that acknowledges the rows of a pass before row.
func cursor(token string, row int) string { return token + "-" + strconv.Itoa(row) }

// parseCursor returns the row of a cursor of the pass; "" stands for row 0.
func parseCursor(p *pass, text string) (row int, ok bool) {
	if text == "" {
		return 0, true
	}
	digits, ok := strings.CutPrefix(text, p.token+"-")
	if !ok {
		return 0, false
	}
	row, err := strconv.Atoi(digits)
	return row, err == nil && digits == strconv.Itoa(row) && row >= 0
}

// ring remembers the last size sessions that ended.
type ring struct {
	size  int
	next  int
	order []SessionID
	by    map[SessionID]ended
}

// ended is an ended session.
type ended struct {
	platform string
	reason   Reason
	detail   string // of Unavailable
	// cursor is the last cursor of a session that is done, which may be
	// repeated until the given time.
	cursor string
	until  time.Time
}

func newRing(size int) ring { return ring{size: size, by: map[SessionID]ended{}} }

func (r *ring) add(id SessionID, e ended) {
	if len(r.order) < r.size {
		r.order = append(r.order, id)
	} else {
		delete(r.by, r.order[r.next])
		r.order[r.next] = id
		r.next = (r.next + 1) % r.size
	}
	r.by[id] = e
}

// remove forgets a session and reports whether it was remembered.
func (r *ring) remove(id SessionID) bool {
	_, ok := r.by[id]
	delete(r.by, id)
	return ok
}
