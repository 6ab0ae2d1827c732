package window

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Machine holds all sessions and windows. Its methods are safe for concurrent
// use.
type Machine struct {
	cfg   Config
	newID func() string
	work  chan struct{} // holds a value if there may be a Task; never closed

	// mu guards the fields below and everything reachable from them.
	mu        sync.Mutex
	now       time.Time
	sessions  map[SessionID]*session
	platforms map[string]*platform
	clients   map[string]int // sessions by client; empty if MaxPerClient is 0
	queued    int
	// finished and expelled remember ended sessions. There are two rings so
	// that many expelled sessions do not push out the finished ones, which may
	// still repeat their last request.
	finished, expelled ring
	memory             memory
	tasks              []Task
	passes             int // number of passes so far
}

// platform is a platform that has sessions.
type platform struct {
	name  string
	queue []*session
	pass  *pass // nil until the first session is activated
	// held reports whether the list is not available yet; see OpenHeld.
	held bool
}

// remembered is the size of each ring of ended sessions.
const remembered = 16 << 10

// New returns a Machine without sessions. newID must return unguessable ids
// that do not repeat.
func New(c Config, newID func() string) *Machine {
	return &Machine{
		cfg:       c,
		newID:     newID,
		work:      make(chan struct{}, 1),
		sessions:  map[SessionID]*session{},
		platforms: map[string]*platform{},
		clients:   map[string]int{},
		finished:  newRing(remembered),
		expelled:  newRing(remembered),
		memory:    memory{limit: int64(c.Memory) / shares * (shares - 1), share: int64(c.Memory) / shares},
	}
}

// lock advances the time to now, acquires the mutex and returns the function
// that releases it.
func (m *Machine) lock(now time.Time) func() {
	m.mu.Lock()
	if now.After(m.now) {
		m.now = now
	}
	return m.mu.Unlock
}

// Open opens a session for a client. The error is ErrQueueFull or
// ErrClientFull.
func (m *Machine) Open(now time.Time, platformName, client string) (Session, error) {
	defer m.lock(now)()
	return m.open(platformName, client, false)
}

func (m *Machine) open(platformName, client string, held bool) (Session, error) {
	if m.cfg.MaxPerClient > 0 && m.clients[client] >= m.cfg.MaxPerClient {
		return Session{}, ErrClientFull
	}
	pl := m.platforms[platformName]
	first := pl == nil
	joins := !first && pl.pass != nil && pl.pass.first && len(pl.queue) == 0 && len(pl.pass.active) < m.cfg.MaxActive
	if (!first || held) && !joins && m.queued >= m.cfg.MaxQueued {
		return Session{}, ErrQueueFull
	}
	if first {
		pl = &platform{name: platformName, held: held}
		m.platforms[platformName] = pl
	}
	s := &session{id: SessionID(m.newID()), client: client, platform: pl, seen: m.now}
	m.sessions[s.id] = s
	if m.cfg.MaxPerClient > 0 {
		m.clients[client]++
	}
	if joins {
		pl.pass.join(s, m.now)
		return m.describe(s), nil
	}
	pl.queue = append(pl.queue, s)
	m.queued++
	if first && !held {
		m.startPass(pl)
	}
	return m.describe(s), nil
}

// startPass starts a pass with the sessions that have waited longest.
func (m *Machine) startPass(pl *platform) {
	m.passes++
	n := min(len(pl.queue), m.cfg.MaxActive)
	pl.pass = &pass{id: m.passes, token: m.newID(), platform: pl, first: true, active: map[*session]struct{}{}}
	for _, s := range pl.queue[:n] {
		pl.pass.join(s, m.now)
		s.signal()
	}
	pl.queue = slices.Clone(pl.queue[n:])
	m.queued -= n
	m.want(pl.pass)
}

// Session returns the state of a session. The call counts as a request of the
// session. The error is ErrUnknown or an *EndedError.
func (m *Machine) Session(now time.Time, id SessionID) (Session, error) {
	defer m.lock(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok && m.now.Before(e.until) {
			return Session{ID: id, Platform: e.platform, State: Done, Expires: e.until}, nil
		}
		return Session{}, err
	}
	s.seen = m.now
	return m.describe(s), nil
}

// find returns a session that has not ended. It first ends the session if it
// is overdue.
func (m *Machine) find(id SessionID) (*session, error) {
	if s, ok := m.sessions[id]; ok {
		reason := s.overdue(m.now, m.cfg)
		if reason == "" {
			return s, nil
		}
		m.end(s, reason)
	}
	if _, ok := m.finished.by[id]; ok {
		return nil, &EndedError{Reason: Finished}
	}
	if e, ok := m.expelled.by[id]; ok {
		return nil, &EndedError{e.reason, e.platform, e.detail}
	}
	return nil, ErrUnknown
}

// describe returns what the client of a session is told.
func (m *Machine) describe(s *session) Session {
	out := Session{
		ID:       s.id,
		Platform: s.platform.name,
		State:    s.state(),
		Expires:  s.seen.Add(time.Duration(m.cfg.SessionTimeout)),
	}
	// A session that polls this often does not expire.
	third := time.Duration(m.cfg.SessionTimeout) / 3
	switch {
	case s.pass == nil:
		out.Position = slices.Index(s.platform.queue, s) + 1
		out.PollAfter = min(2*time.Second, third)
	case !s.readable():
		out.PollAfter = min(500*time.Millisecond, third)
	}
	return out
}

// Leave ends a session at the request of its client. The error is ErrUnknown.
func (m *Machine) Leave(now time.Time, id SessionID) error {
	defer m.lock(now)()
	if s, ok := m.sessions[id]; ok {
		m.end(s, "")
		return nil
	}
	if m.finished.remove(id) || m.expelled.remove(id) {
		return nil
	}
	return ErrUnknown
}

// end ends a session and remembers the reason unless it is "".
func (m *Machine) end(s *session, reason Reason) {
	m.remove(s)
	if reason != "" {
		m.expelled.add(s.id, ended{platform: s.platform.name, reason: reason})
	}
	if s.pass != nil {
		m.slide(s.pass)
	}
}

// remove removes a session from its platform's queue or pass. The caller
// slides the pass.
func (m *Machine) remove(s *session) {
	delete(m.sessions, s.id)
	if m.clients[s.client]--; m.clients[s.client] <= 0 {
		delete(m.clients, s.client)
	}
	pl := s.platform
	if s.pass != nil {
		delete(s.pass.active, s)
	} else {
		i := slices.Index(pl.queue, s)
		pl.queue = slices.Delete(pl.queue, i, i+1)
		m.queued--
	}
	if pl.held && len(pl.queue) == 0 {
		delete(m.platforms, pl.name)
	}
	s.signal()
}

// Tick ends overdue sessions. The driver calls it periodically.
func (m *Machine) Tick(now time.Time) {
	defer m.lock(now)()
	overdue := map[*session]Reason{}
	for _, s := range m.sessions {
		if reason := s.overdue(m.now, m.cfg); reason != "" {
			overdue[s] = reason
		}
	}
	// Ending a session may slide its window and start the clocks of others,
	// but makes no other session overdue.
	for s, reason := range overdue {
		m.end(s, reason)
	}
}

// Status is the state of all sessions and windows, in the words of
// GET /patches/v1/status.
type Status struct {
	Active int       `json:"active"`
	Queued int       `json:"queued"`
	Memory MemoryUse `json:"memory"`
	// Windows are those of the platforms with active sessions, sorted by name.
	Windows []Window `json:"windows"`
}

// MemoryUse is the number of bytes in use, and the limit.
type MemoryUse struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

// Window is a platform's window: the rows of its pass from First up to, but
// not including, Last. Both are 0 while a pane is being prepared. Rows is the
// number of rows read so far in the pass.
type Window struct {
	Platform string `json:"platform"`
	Rows     int    `json:"rows"`
	First    int    `json:"first"`
	Last     int    `json:"last"`
	Bytes    int64  `json:"bytes"`
	Active   int    `json:"active"`
	Queued   int    `json:"queued"`
}

// Status returns the state of all sessions and windows.
func (m *Machine) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := Status{
		Active:  len(m.sessions) - m.queued,
		Queued:  m.queued,
		Memory:  MemoryUse{m.memory.used, int64(m.cfg.Memory)},
		Windows: []Window{},
	}
	for _, pl := range slices.SortedFunc(maps.Values(m.platforms), func(a, b *platform) int { return cmp.Compare(a.name, b.name) }) {
		if pl.held {
			continue // no session is active
		}
		w := Window{Platform: pl.name, Rows: pl.pass.rows, Active: len(pl.pass.active), Queued: len(pl.queue)}
		if p := pl.pass.open; p != nil {
			w.First, w.Last, w.Bytes = p.start, p.end, p.bytes
		}
		out.Windows = append(out.Windows, w)
	}
	return out
}
