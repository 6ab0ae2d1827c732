package window

import (
	"slices"
	"time"
)

// Reading is the answer to one request for rows. Whoever asked closes it once
// the request has been answered.
type Reading struct {
	Session Session
	// Page holds the rows from From up to To, counted within the page; it is
	// nil where there is nothing to read yet, or nothing more.
	Page     Page
	From, To int
	// Next is the cursor that acknowledges them.
	Next string
	// Last says that no rows come after these.
	Last bool
	// Deadline is when the session will be ended if it has not acknowledged
	// its pane by then: nobody need send to it any longer.
	Deadline time.Time
	// Wake closes when there may be something to read, where there was
	// nothing.
	Wake <-chan struct{}

	m *Machine
	s *session
	n *pane
}

// Close says that the request has been answered, or given up.
func (r *Reading) Close(now time.Time) {
	if r.m == nil {
		return
	}
	defer r.m.at(now)()
	if r.s != nil {
		r.s.busy--
		r.s.seen = r.m.now
	}
	if r.n != nil {
		if r.n.refs--; r.n.refs == 0 && r.n.released {
			r.m.release(r.n)
			r.m.grant()
		}
	}
	r.m = nil
}

// Grow asks for so many bytes more for a copy of a page that will be kept with
// it. False says that there is no room.
func (r *Reading) Grow(bytes int64) bool {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	hungry := slices.ContainsFunc(r.m.memory.waiting, func(p *pass) bool { return p.open == nil })
	if hungry || r.m.memory.used+bytes > r.m.memory.limit {
		return false
	}
	r.m.memory.used += bytes
	r.n.bytes += bytes
	return true
}

// Shrink gives back some of what Grow gave.
func (r *Reading) Shrink(bytes int64) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.memory.used -= bytes
	r.n.bytes -= bytes
	r.m.grant()
}

// Read acknowledges what a session was given before the cursor and gives what
// comes after it, at most limit rows (0 is any number) and no more than a page.
// The same cursor again gives the same. Errors are ErrUnknown, ErrBusy,
// ErrCursor and EndedError.
func (m *Machine) Read(now time.Time, id SessionID, after string, limit int) (*Reading, error) {
	defer m.at(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok && e.cursor == after && m.now.Before(e.until) {
			return m.done(id, e), nil
		}
		return nil, err
	}
	if s.busy >= maxBusy {
		return nil, ErrBusy
	}
	s.seen = m.now
	if s.pass == nil {
		if after != "" {
			return nil, ErrCursor
		}
		return m.nothing(s), nil
	}
	row, ok := parseCursor(s.pass, after)
	switch {
	case ok && row == s.acked:
	case ok && row == s.sent && s.sent > s.acked:
		s.acked = s.sent
	default:
		return nil, ErrCursor
	}
	return m.give(s, limit), nil
}

// Take gives a page and takes it for acknowledged at once, as the original
// protocol has it. The errors are Read's, without ErrCursor. A session that is
// done remains so until it is forgotten.
func (m *Machine) Take(now time.Time, id SessionID) (*Reading, error) {
	defer m.at(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok {
			return m.done(id, e), nil
		}
		return nil, err
	}
	if s.busy >= maxBusy {
		return nil, ErrBusy
	}
	s.seen = m.now
	if s.pass == nil {
		return m.nothing(s), nil
	}
	r := m.give(s, 0)
	if r.Page != nil {
		s.acked = s.sent
		m.advance(s)
	}
	return r, nil
}

// give answers with the rows that follow what has been acknowledged.
func (m *Machine) give(s *session, limit int) *Reading {
	if m.advance(s) {
		return m.done(s.id, m.finished.by[s.id])
	}
	if !s.readable() {
		return m.nothing(s)
	}
	n := s.pass.open
	at := n.start
	for _, page := range n.Pages {
		if end := at + page.Rows(); s.acked >= end {
			at = end
			continue
		} else if s.sent <= s.acked {
			s.sent = end
			if limit > 0 {
				s.sent = min(end, s.acked+limit)
			}
		}
		s.busy++
		n.refs++
		return &Reading{
			Session: m.view(s), Page: page, From: s.acked - at, To: s.sent - at,
			Next: cursor(s.pass.token, s.sent), Last: n.Last && s.sent == n.end, Deadline: s.deadline(m.cfg),
			m: m, s: s, n: n,
		}
	}
	return m.nothing(s)
}

// advance follows up an acknowledgement, and says whether the session is done.
// The pane that a window slides to may have nothing in it but the end.
func (m *Machine) advance(s *session) bool {
	for {
		n := s.pass.open
		if n == nil || s.acked < n.end {
			return false
		}
		s.stop(m.now)
		if n.Last {
			m.forget(s)
			m.finished.add(s.id, ended{
				platform: s.platform.name, reason: Finished,
				cursor: lastCursor(s), until: m.now.Add(time.Duration(m.cfg.SessionTimeout)),
			})
			m.slide(s.pass)
			return true
		}
		m.slide(s.pass)
		if s.pass.open == n {
			return false // others have not read it yet
		}
	}
}

// lastCursor is the one with which a session found that it was done: none where
// the list is empty.
func lastCursor(s *session) string {
	if s.acked == 0 {
		return ""
	}
	return cursor(s.pass.token, s.acked)
}

// nothing answers that there is nothing to read yet.
func (m *Machine) nothing(s *session) *Reading {
	s.busy++
	return &Reading{Session: m.view(s), Wake: s.waiter(), m: m, s: s}
}

// done answers that everything has been read.
func (m *Machine) done(id SessionID, e ended) *Reading {
	return &Reading{Session: Session{ID: id, Platform: e.platform, State: Done, Expires: e.until}, Next: e.cursor, Last: true}
}
