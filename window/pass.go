package window

import (
	"slices"
	"time"
)

// Page is a stretch of rows, ready to be sent. The machine counts its rows and
// knows nothing of what is in it.
type Page interface{ Rows() int }

// Pane is what a pass reads at a time.
type Pane struct {
	Pages []Page
	// Bytes is what the pages take.
	Bytes int64
	// Last says that no rows come after these.
	Last bool
}

// pane is a Pane in its place. Its bytes are in use until it has been released
// and refs, the requests that are being answered with pages of it, is 0.
type pane struct {
	Pane
	start, end int
	bytes      int64 // with the copies that were made of its pages
	refs       int
	released   bool
}

// pass is one walk through the list of a platform.
type pass struct {
	id       int
	token    string // begins its cursors
	platform *platform
	active   map[*session]struct{}
	// first says that the window has not slid yet.
	first bool
	// open is the pane that is being read, nil while there is none; ready is
	// the next.
	open, ready *pane
	rows        int // read so far
	exhausted   bool
	over        bool
	stage       stage
	// reserved is what it may read into, and needs what its next row takes
	// where that is more than a share. What a pass that is over was reading
	// into is given back at once: the driver does one task at a time, and so
	// lets go of it before it reads into what was reserved since.
	reserved, needs int64
}

// stage is what a pass is doing about its next pane.
type stage int

const (
	idle stage = iota
	wanting
	reading
)

func (p *pass) join(s *session, now time.Time) {
	s.pass = p
	p.active[s] = struct{}{}
	s.start(now)
}

// memory is the budget, and who waits for it in order of arrival.
type memory struct {
	limit, share, used int64
	waiting            []*pass
}

// Task is something to be done by the driver.
type Task struct {
	Pass     int
	Platform string
	// Read asks for the next pane of the pass, of at most so many bytes; 0
	// says that the pass is over and its snapshot no longer wanted.
	Read int64
	// row is the first of that pane, and token begins the pass's cursors.
	row   int
	token string
}

// Cursor acknowledges the first rows of the pane that is asked for, so many.
func (t Task) Cursor(rows int) string { return cursor(t.token, t.row+rows) }

// Work has something in it when there may be a Task.
func (m *Machine) Work() <-chan struct{} { return m.work }

// Task gives the next thing to do, once.
func (m *Machine) Task() (Task, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.tasks) == 0 {
		return Task{}, false
	}
	t := m.tasks[0]
	m.tasks = m.tasks[1:]
	return t, true
}

func (m *Machine) task(t Task) {
	m.tasks = append(m.tasks, t)
	select {
	case m.work <- struct{}{}:
	default:
	}
}

// want has a pass wait for memory if there is more to read and room for it.
func (m *Machine) want(p *pass) {
	if p.stage == idle && !p.over && !p.exhausted && p.ready == nil {
		p.stage = wanting
		m.memory.waiting = append(m.memory.waiting, p)
	}
	m.grant()
}

// grant hands out memory. Those with no pane to read come first; only when
// there is none of them do others read ahead.
func (m *Machine) grant() {
	for m.grantOne(func(p *pass) bool { return p.open == nil }) {
	}
	if !slices.ContainsFunc(m.memory.waiting, func(p *pass) bool { return p.open == nil }) {
		for m.grantOne(func(*pass) bool { return true }) {
		}
	}
}

// grantOne serves the first of those that may be served, if there is room.
func (m *Machine) grantOne(may func(*pass) bool) bool {
	i := slices.IndexFunc(m.memory.waiting, may)
	if i < 0 {
		return false
	}
	p := m.memory.waiting[i]
	// What is larger than all there is gets all there is.
	need := min(max(m.memory.share, p.needs), m.memory.limit)
	if m.memory.used+need > m.memory.limit {
		return false
	}
	m.memory.waiting = slices.Delete(m.memory.waiting, i, i+1)
	m.memory.used += need
	p.stage, p.reserved = reading, need
	m.task(Task{Pass: p.id, Platform: p.platform.name, Read: need, row: p.rows, token: p.token})
	return true
}

// reserve takes back what a pass reserved, now that it has read.
func (m *Machine) reserve(id int) *pass {
	for _, pl := range m.platforms {
		if pl.pass.id == id && pl.pass.stage == reading {
			p := pl.pass
			m.memory.used -= p.reserved
			p.reserved, p.stage = 0, idle
			return p
		}
	}
	return nil
}

// Prepared says that a pane has been read. It says whether the pass is still
// on; if it is not, the pane is not kept.
func (m *Machine) Prepared(now time.Time, id int, read Pane) bool {
	defer m.at(now)()
	p := m.reserve(id)
	if p == nil {
		return false
	}
	n := &pane{Pane: read, start: p.rows, end: p.rows, bytes: read.Bytes}
	for _, page := range read.Pages {
		n.end += page.Rows()
	}
	m.memory.used += n.bytes
	p.rows, p.exhausted, p.needs = n.end, read.Last, 0
	if p.open == nil {
		m.show(p, n)
	} else {
		p.ready = n
	}
	m.want(p)
	return true
}

// TooSmall says that the next row takes more bytes than there were.
func (m *Machine) TooSmall(now time.Time, id int, needs int64) {
	defer m.at(now)()
	p := m.reserve(id)
	if p == nil {
		return
	}
	p.needs, p.stage = needs, wanting
	m.memory.waiting = slices.Insert(m.memory.waiting, 0, p)
	m.grant()
}

// Failed says that the list cannot be read. It ends the pass's sessions.
func (m *Machine) Failed(now time.Time, id int) {
	defer m.at(now)()
	p := m.reserve(id)
	if p == nil {
		return
	}
	for s := range p.active {
		m.forget(s)
		m.gone.add(s.id, ended{platform: s.platform.name, reason: Failing})
	}
	m.slide(p)
}

// show opens a pane to the sessions of its pass.
func (m *Machine) show(p *pass, n *pane) {
	p.open = n
	for s := range p.active {
		s.start(m.now)
		s.signal()
	}
	if n.start == n.end && !n.Last {
		m.slide(p) // nothing is in it
	}
}

// slide moves on from a pane that every active session has acknowledged, and
// ends a pass that has no session left.
func (m *Machine) slide(p *pass) {
	if p.over {
		return
	}
	if len(p.active) == 0 {
		m.finish(p)
		return
	}
	if p.open == nil || p.open.Last {
		return
	}
	for s := range p.active {
		if s.acked < p.open.end {
			return
		}
	}
	p.first = false
	old, next := p.open, p.ready
	p.open, p.ready = nil, nil
	m.release(old)
	if next != nil {
		m.show(p, next)
	}
	m.want(p)
}

// finish ends a pass and begins the next if anybody waits for it.
func (m *Machine) finish(p *pass) {
	p.over = true
	for _, n := range []*pane{p.open, p.ready} {
		if n != nil {
			m.release(n)
		}
	}
	p.open, p.ready = nil, nil
	if p.stage == wanting {
		i := slices.Index(m.memory.waiting, p)
		m.memory.waiting = slices.Delete(m.memory.waiting, i, i+1)
	}
	m.memory.used -= p.reserved // what is being read into it will not be kept
	p.reserved, p.stage = 0, idle
	// Nor is what has not been begun: sessions may come and go faster than
	// anything can be read for them.
	m.tasks = slices.DeleteFunc(m.tasks, func(t Task) bool { return t.Pass == p.id })
	m.task(Task{Pass: p.id, Platform: p.platform.name})
	if len(p.platform.queue) > 0 {
		m.begin(p.platform)
	} else {
		delete(m.platforms, p.platform.name)
	}
	m.grant()
}

// release gives a pane's bytes back once nobody is sent any of them.
func (m *Machine) release(n *pane) {
	n.released = true
	if n.refs == 0 {
		m.memory.used -= n.bytes
		n.bytes = 0
	}
}
