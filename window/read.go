package window

import (
	"slices"
	"time"
)

// Reading is the result of one request for rows. The caller closes it once the
// response has been sent.
type Reading struct {
	Session Session
	// Page holds the rows; those from index From up to, but not including, To
	// are the result. It is nil if there are no rows yet, or no more.
	Page     Page
	From, To int
	// Next is the cursor that acknowledges the rows.
	Next string
	// Last reports whether these are the last rows of the list.
	Last bool
	// Deadline is when the session is ended unless it acknowledges its pane.
	// There is no point in sending to it after that.
	Deadline time.Time
	// Wake is closed when there may be rows to read. It is nil if Page is not,
	// or if the session is done.
	Wake <-chan struct{}

	m *Machine
	s *session
	n *pane
}

// Close reports that the response has been sent or abandoned. It may be called
// more than once.
func (r *Reading) Close(now time.Time) {
	if r.m == nil {
		return
	}
	defer r.m.lock(now)()
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

// Grow reserves memory for a copy that will be kept with the page, and reports
// whether there was enough.
func (r *Reading) Grow(bytes int64) bool {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if slices.ContainsFunc(r.m.memory.waiting, blocked) || r.m.memory.used+bytes > r.m.memory.limit {
		return false
	}
	r.m.memory.used += bytes
	r.n.bytes += bytes
	return true
}

// Shrink returns some of the bytes that Grow reserved.
func (r *Reading) Shrink(bytes int64) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.memory.used -= bytes
	r.n.bytes -= bytes
	r.m.grant()
}

// Read acknowledges the rows before the cursor and returns the rows after it:
// at most a page, and at most limit rows unless limit is 0. The same cursor
// returns the same rows again. The error is ErrUnknown, ErrBusy, ErrCursor or
// an *EndedError.
func (m *Machine) Read(now time.Time, id SessionID, after string, limit int) (*Reading, error) {
	defer m.lock(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok && e.cursor == after && m.now.Before(e.until) {
			return doneReading(id, e), nil
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
		return m.emptyReading(s), nil
	}
	row, ok := parseCursor(s.pass, after)
	switch {
	case ok && row == s.acked:
	case ok && row == s.sent && s.sent > s.acked:
		s.acked = s.sent
	default:
		return nil, ErrCursor
	}
	return m.nextReading(s, limit), nil
}

// Take returns the next page and counts it as acknowledged at once, as the
// original protocol does. The errors are those of Read, except ErrCursor. A
// session that is done stays done until it is forgotten.
func (m *Machine) Take(now time.Time, id SessionID) (*Reading, error) {
	defer m.lock(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok {
			return doneReading(id, e), nil
		}
		return nil, err
	}
	if s.busy >= maxBusy {
		return nil, ErrBusy
	}
	s.seen = m.now
	if s.pass == nil {
		return m.emptyReading(s), nil
	}
	r := m.nextReading(s, 0)
	if r.Page != nil {
		s.acked = s.sent
		m.advance(s)
	}
	return r, nil
}

// nextReading returns the rows that follow those acknowledged.
func (m *Machine) nextReading(s *session, limit int) *Reading {
	if m.advance(s) {
		return doneReading(s.id, m.finished.by[s.id])
	}
	if !s.readable() {
		return m.emptyReading(s)
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
			Session:  m.describe(s),
			Page:     page,
			From:     s.acked - at,
			To:       s.sent - at,
			Next:     cursor(s.pass.token, s.sent),
			Last:     n.Last && s.sent == n.end,
			Deadline: s.deadline(m.cfg),
			m:        m,
			s:        s,
			n:        n,
		}
	}
	return m.emptyReading(s)
}

// advance slides the window after an acknowledgement and reports whether the
// session is done. It loops because the next pane may be empty and the last.
func (m *Machine) advance(s *session) bool {
	for {
		n := s.pass.open
		if n == nil || s.acked < n.end {
			return false
		}
		s.stop(m.now)
		if n.Last {
			m.remove(s)
			m.finished.add(s.id, ended{
				platform: s.platform.name,
				reason:   Finished,
				cursor:   lastCursor(s),
				until:    m.now.Add(time.Duration(m.cfg.SessionTimeout)),
			})
			m.slide(s.pass)
			return true
		}
		m.slide(s.pass)
		if s.pass.open == n {
			return false // other sessions have not acknowledged it
		}
	}
}

// lastCursor returns the cursor of the request that found the session done; ""
// if the list is empty.
func lastCursor(s *session) string {
	if s.acked == 0 {
		return ""
	}
	return cursor(s.pass.token, s.acked)
}

// emptyReading returns a Reading without rows for a session that must wait.
func (m *Machine) emptyReading(s *session) *Reading {
	s.busy++
	return &Reading{Session: m.describe(s), Wake: s.waiter(), m: m, s: s}
}

// doneReading returns the final Reading of a session that has read everything.
func doneReading(id SessionID, e ended) *Reading {
	session := Session{ID: id, Platform: e.platform, State: Done, Expires: e.until}
	return &Reading{Session: session, Next: e.cursor, Last: true}
}
