package window

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
)

// SessionID names a session. It cannot be guessed.
type SessionID string

// State is what a session is doing.
type State string

// The states that a client is told.
const (
	Queued  State = "queued"
	Active  State = "active"
	Waiting State = "waiting"
	Done    State = "done"
)

// Session is what a client is told of a session.
type Session struct {
	ID       SessionID
	Platform string
	State    State
	// Position is the place in the queue, from 1, and 0 where it is not in
	// one.
	Position int
	// PollAfter is when to ask again, and Expires when the session ends if
	// nobody does.
	PollAfter time.Duration
	Expires   time.Time
}

// Errors of Open, beside which there are none.
var (
	// ErrQueueFull says that max_queued sessions wait already.
	ErrQueueFull = fmt.Errorf("%w: the queue of sessions is full", clair.ErrUnavailable)
	// ErrClientFull says that a client has max_per_client sessions.
	ErrClientFull = fmt.Errorf("%w: this address has as many sessions as it may have", clair.ErrUnavailable)
)

var (
	// ErrUnknown says that there is no such session, or has not been for long.
	ErrUnknown = fmt.Errorf("%w: no session has this id", clair.ErrNotFound)
	// ErrBusy says that a session has too many requests under way.
	ErrBusy = fmt.Errorf("%w: this session has other requests under way", clair.ErrUnavailable)
	// ErrCursor says that a cursor is not one that the session was given last.
	ErrCursor = errors.New("the cursor is not the one that this session was given last, nor the one before")
)

// Reason is why a session is over, as clients are told.
type Reason string

// The reasons.
const (
	Finished Reason = "session-finished"
	Expired  Reason = "session-expired"
	TooSlow  Reason = "session-too-slow"
	Failing  Reason = "session-failed"
)

// EndedError says that a session is over.
type EndedError struct{ Reason Reason }

// Error says it in words.
func (e *EndedError) Error() string {
	switch e.Reason {
	case Finished:
		return "the session has read the whole list"
	case Expired:
		return "the session made no request for too long"
	case TooSlow:
		return "the session did not get through the list fast enough, while others waited for it"
	}
	return "the list could not be read to its end; open another session"
}

// session is one that is queued or active. The machine's mutex guards it.
type session struct {
	id       SessionID
	client   string
	platform *platform
	pass     *pass // nil while it is queued
	// The rows before acked have been acknowledged; those from acked to sent
	// have been sent and not acknowledged.
	acked, sent int
	// seen is when the last request began or ended, and busy how many are
	// under way.
	seen time.Time
	busy int
	// since is when there came to be something to read, the zero time while
	// there is nothing; used is how long there was before.
	since time.Time
	used  time.Duration
	// wake closes when there may be something new; nil while nobody waits.
	// signal alone closes it.
	wake chan struct{}
}

// maxBusy is how many requests of one session may be under way: two, when a
// client asks again before it notices that its first request is lost, and some
// to spare.
const maxBusy = 4

// signal wakes whoever waits for the session.
func (s *session) signal() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// waiter gives the channel that signal closes.
func (s *session) waiter() <-chan struct{} {
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.wake
}

// readable says whether there is anything to read.
func (s *session) readable() bool {
	return s.pass != nil && s.pass.open != nil && s.acked < s.pass.open.end
}

// start and stop run the clocks of a session that has something to read.
func (s *session) start(now time.Time) {
	if s.readable() && s.since.IsZero() {
		s.since = now
	}
}

func (s *session) stop(now time.Time) {
	if !s.since.IsZero() {
		s.used += now.Sub(s.since)
		s.since = time.Time{}
	}
}

// deadline is when a session that has something to read is too slow.
func (s *session) deadline(c Config) time.Time {
	return s.since.Add(min(time.Duration(c.PaneTimeout), time.Duration(c.PassTimeout)-s.used))
}

// overdue is the reason for which a session is to be ended, "" if there is
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

// cursor is how a client names the row of a pass after which it goes on.
func cursor(token string, row int) string { return token + "-" + strconv.Itoa(row) }

// parseCursor gives the row of a cursor of the pass; "" is the first.
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

// ring remembers sessions that are over, so many of the last ones.
type ring struct {
	size  int
	next  int
	order []SessionID
	by    map[SessionID]ended
}

// ended is what is remembered.
type ended struct {
	platform string
	reason   Reason
	// A session that is done may ask again with its last cursor until then.
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

// remove forgets a session and says whether it was remembered.
func (r *ring) remove(id SessionID) bool {
	_, ok := r.by[id]
	delete(r.by, id)
	return ok
}
