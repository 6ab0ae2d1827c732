package window

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Machine is all sessions and windows. Its methods may be called from many
// goroutines.
type Machine struct {
	cfg   Config
	newID func() string
	work  chan struct{} // has something in it when there may be a Task; never closed

	// mu guards what follows, and all that it leads to.
	mu        sync.Mutex
	now       time.Time
	sessions  map[SessionID]*session
	platforms map[string]*platform
	clients   map[string]int // sessions by client, where they are limited
	queued    int
	// finished and gone remember the sessions that are over; two rings, so
	// that those who are expelled by the thousand crowd out nobody else.
	finished, gone ring
	memory         memory
	tasks          []Task
	passes         int // how many there have been
}

// platform is one that has sessions.
type platform struct {
	name  string
	queue []*session
	pass  *pass // nil before the first is activated
}

// remembered is how many sessions that are over are remembered of each kind.
const remembered = 16 << 10

// New makes a machine. newID makes ids that cannot be guessed and do not
// repeat.
func New(c Config, newID func() string) *Machine {
	return &Machine{
		cfg: c, newID: newID, work: make(chan struct{}, 1),
		sessions: map[SessionID]*session{}, platforms: map[string]*platform{}, clients: map[string]int{},
		finished: newRing(remembered), gone: newRing(remembered),
		memory: memory{limit: int64(c.Memory) / shares * (shares - 1), share: int64(c.Memory) / shares},
	}
}

// at takes the time and holds the mutex until the function it returns is
// called.
func (m *Machine) at(now time.Time) func() {
	m.mu.Lock()
	if now.After(m.now) {
		m.now = now
	}
	return m.mu.Unlock
}

// Open opens a session of a client. The error is an ErrQueueFull or an
// ErrClientFull.
func (m *Machine) Open(now time.Time, platformName, client string) (Session, error) {
	defer m.at(now)()
	if m.cfg.MaxPerClient > 0 && m.clients[client] >= m.cfg.MaxPerClient {
		return Session{}, ErrClientFull
	}
	pl := m.platforms[platformName]
	first := pl == nil
	joins := !first && pl.pass != nil && pl.pass.first && len(pl.queue) == 0 && len(pl.pass.active) < m.cfg.MaxActive
	if !first && !joins && m.queued >= m.cfg.MaxQueued {
		return Session{}, ErrQueueFull
	}
	if first {
		pl = &platform{name: platformName}
		m.platforms[platformName] = pl
	}
	s := &session{id: SessionID(m.newID()), client: client, platform: pl, seen: m.now}
	m.sessions[s.id] = s
	if m.cfg.MaxPerClient > 0 {
		m.clients[client]++
	}
	if joins {
		pl.pass.join(s, m.now)
		return m.view(s), nil
	}
	pl.queue = append(pl.queue, s)
	m.queued++
	if first {
		m.begin(pl)
	}
	return m.view(s), nil
}

// begin starts a pass with those who have waited longest.
func (m *Machine) begin(pl *platform) {
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

// Session says how a session is. It counts as a request. Errors are
// ErrUnknown and EndedError.
func (m *Machine) Session(now time.Time, id SessionID) (Session, error) {
	defer m.at(now)()
	s, err := m.find(id)
	if err != nil {
		if e, ok := m.finished.by[id]; ok && m.now.Before(e.until) {
			return Session{ID: id, Platform: e.platform, State: Done, Expires: e.until}, nil
		}
		return Session{}, err
	}
	s.seen = m.now
	return m.view(s), nil
}

// find gives a session that is not over, having ended it if its time is up.
func (m *Machine) find(id SessionID) (*session, error) {
	if s, ok := m.sessions[id]; ok {
		reason := s.overdue(m.now, m.cfg)
		if reason == "" {
			return s, nil
		}
		m.end(s, reason)
	}
	if _, ok := m.finished.by[id]; ok {
		return nil, &EndedError{Finished}
	}
	if e, ok := m.gone.by[id]; ok {
		return nil, &EndedError{e.reason}
	}
	return nil, ErrUnknown
}

func (m *Machine) view(s *session) Session {
	out := Session{ID: s.id, Platform: s.platform.name, State: s.state(), Expires: s.seen.Add(time.Duration(m.cfg.SessionTimeout))}
	// Often enough not to expire, and seldom enough not to be a burden.
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

// Leave ends a session at its client's wish. The error is an ErrUnknown.
func (m *Machine) Leave(now time.Time, id SessionID) error {
	defer m.at(now)()
	if s, ok := m.sessions[id]; ok {
		m.end(s, "")
		return nil
	}
	if m.finished.remove(id) || m.gone.remove(id) {
		return nil
	}
	return ErrUnknown
}

// end takes a session out, and remembers why if there is a reason.
func (m *Machine) end(s *session, reason Reason) {
	m.forget(s)
	if reason != "" {
		m.gone.add(s.id, ended{platform: s.platform.name, reason: reason})
	}
	if s.pass != nil {
		m.slide(s.pass)
	}
}

// forget takes a session out of everything but its pass's progress.
func (m *Machine) forget(s *session) {
	delete(m.sessions, s.id)
	if m.clients[s.client]--; m.clients[s.client] <= 0 {
		delete(m.clients, s.client)
	}
	if s.pass != nil {
		delete(s.pass.active, s)
	} else {
		i := slices.Index(s.platform.queue, s)
		s.platform.queue = slices.Delete(s.platform.queue, i, i+1)
		m.queued--
	}
	s.signal()
}

// Tick ends the sessions whose time is up. It is to be called now and then.
func (m *Machine) Tick(now time.Time) {
	defer m.at(now)()
	late := map[*session]Reason{}
	for _, s := range m.sessions {
		if reason := s.overdue(m.now, m.cfg); reason != "" {
			late[s] = reason
		}
	}
	// Ending one may slide a window, and so start the clocks of others, but
	// neither makes another late nor ends it.
	for s, reason := range late {
		m.end(s, reason)
	}
}

// Status is how things stand.
type Status struct {
	Active, Queued     int
	MemoryUsed, Memory int64
	// Windows are those of platforms with active sessions, by name.
	Windows []Window
}

// Window is a platform's window: rows First up to, and not including, Last of
// its pass; none while a pane is being prepared. Rows is what has been read of
// the pass so far.
type Window struct {
	Platform       string
	Rows           int
	First, Last    int
	Bytes          int64
	Active, Queued int
}

// Status says how things stand.
func (m *Machine) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := Status{Active: len(m.sessions) - m.queued, Queued: m.queued, MemoryUsed: m.memory.used, Memory: int64(m.cfg.Memory)}
	for _, pl := range slices.SortedFunc(maps.Values(m.platforms), func(a, b *platform) int { return cmp.Compare(a.name, b.name) }) {
		w := Window{Platform: pl.name, Rows: pl.pass.rows, Active: len(pl.pass.active), Queued: len(pl.queue)}
		if p := pl.pass.open; p != nil {
			w.First, w.Last, w.Bytes = p.start, p.end, p.bytes
		}
		out.Windows = append(out.Windows, w)
	}
	return out
}
