package window

import (
	"slices"
	"time"
)

// Page is a sequence of encoded rows. The machine only counts them.
type Page interface{ Rows() int }

// Pane is the part of a list that a pass holds in memory at a time.
type Pane struct {
	Pages []Page
	// Bytes is the size of the pages.
	Bytes int64
	// Last reports whether these are the last rows of the list.
	Last bool
}

// pane is a Pane at its position in the list. Its bytes are in use until it has
// been released and refs, the number of requests being answered with its pages,
// is 0.
type pane struct {
	Pane
	start, end int
	bytes      int64 // including copies of its pages
	refs       int
	released   bool
}

// pass is one walk through the list of a platform.
type pass struct {
	id       int
	token    string // prefix of its cursors
	platform *platform
	active   map[*session]struct{}
	// first reports whether the window has not slid yet.
	first bool
	// open is the pane being read by the sessions, nil if none is prepared;
	// ready is the next one, read ahead.
	open, ready *pane
	rows        int // rows read so far
	exhausted   bool
	over        bool
	stage       stage
	// reserved is the number of bytes reserved for the pane being read; needs
	// is the size of the next row if it is larger than a share. The
	// reservation of a pass that is over is returned at once: the driver
	// performs one task at a time, so it drops those rows before it reads into
	// memory reserved later.
	reserved, needs int64
}

// stage is the progress of a pass towards its next pane.
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

// memory is the budget of bytes and the passes that wait for some, in order of
// arrival.
type memory struct {
	limit, share, used int64
	waiting            []*pass
}

// Task is a piece of work for the driver.
type Task struct {
	Pass     int
	Platform string
	// MaxBytes is the maximum size of the pane to be read next; 0 means that
	// the pass is over and its snapshot can be closed.
	MaxBytes int64
	// row is the pane's first row, and token the prefix of the pass's cursors.
	row   int
	token string
}

// Cursor returns the cursor that acknowledges the first n rows of the pane.
func (t Task) Cursor(n int) string { return cursor(t.token, t.row+n) }

// Work returns a channel that receives a value when there may be a Task. It is
// never closed.
func (m *Machine) Work() <-chan struct{} { return m.work }

// Task returns the next task and removes it from the list.
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

func (m *Machine) addTask(t Task) {
	m.tasks = append(m.tasks, t)
	select {
	case m.work <- struct{}{}:
	default:
	}
}

// want queues a pass for memory if it has more to read and no pane ahead.
func (m *Machine) want(p *pass) {
	if p.stage == idle && !p.over && !p.exhausted && p.ready == nil {
		p.stage = wanting
		m.memory.waiting = append(m.memory.waiting, p)
	}
	m.grant()
}

// grant distributes memory. Passes without an open pane come first; the others
// read ahead only if no such pass waits.
func (m *Machine) grant() {
	for m.grantOne(blocked) {
	}
	if !slices.ContainsFunc(m.memory.waiting, blocked) {
		for m.grantOne(func(*pass) bool { return true }) {
		}
	}
}

// blocked reports whether the sessions of a pass wait for its next pane.
func blocked(p *pass) bool { return p.open == nil }

// grantOne grants memory to the first waiting pass for which eligible returns
// true, and reports whether it did.
func (m *Machine) grantOne(eligible func(*pass) bool) bool {
	i := slices.IndexFunc(m.memory.waiting, eligible)
	if i < 0 {
		return false
	}
	p := m.memory.waiting[i]
	// A row larger than the whole budget is granted the whole budget.
	need := min(max(m.memory.share, p.needs), m.memory.limit)
	if m.memory.used+need > m.memory.limit {
		return false
	}
	m.memory.waiting = slices.Delete(m.memory.waiting, i, i+1)
	m.memory.used += need
	p.stage, p.reserved = reading, need
	m.addTask(Task{Pass: p.id, Platform: p.platform.name, MaxBytes: need, row: p.rows, token: p.token})
	return true
}

// takeReading returns the pass with this id if it is reading, and releases its
// reservation. It returns nil if the pass is over.
func (m *Machine) takeReading(id int) *pass {
	for _, pl := range m.platforms {
		if pl.pass != nil && pl.pass.id == id && pl.pass.stage == reading {
			p := pl.pass
			m.memory.used -= p.reserved
			p.reserved, p.stage = 0, idle
			return p
		}
	}
	return nil
}

// Prepared hands over the pane that a task asked for. It returns false, and
// drops the pane, if the pass is over.
func (m *Machine) Prepared(now time.Time, id int, read Pane) bool {
	defer m.lock(now)()
	p := m.takeReading(id)
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
		m.openPane(p, n)
	} else {
		p.ready = n
	}
	m.want(p)
	return true
}

// TooSmall reports that the next row alone is larger than Task.MaxBytes: it
// takes needs bytes.
func (m *Machine) TooSmall(now time.Time, id int, needs int64) {
	defer m.lock(now)()
	p := m.takeReading(id)
	if p == nil {
		return
	}
	p.needs, p.stage = needs, wanting
	m.memory.waiting = slices.Insert(m.memory.waiting, 0, p)
	m.grant()
}

// Failed reports that the list cannot be read. It ends the sessions of the
// pass.
func (m *Machine) Failed(now time.Time, id int) {
	defer m.lock(now)()
	p := m.takeReading(id)
	if p == nil {
		return
	}
	for s := range p.active {
		m.remove(s)
		m.expelled.add(s.id, ended{platform: s.platform.name, reason: Failing})
	}
	m.slide(p)
}

// openPane opens a pane to the sessions of its pass.
func (m *Machine) openPane(p *pass, n *pane) {
	p.open = n
	for s := range p.active {
		s.start(m.now)
		s.signal()
	}
	if n.start == n.end && !n.Last {
		m.slide(p) // the pane is empty
	}
}

// slide releases the open pane if every active session has acknowledged it,
// and opens the next. It finishes a pass that has no sessions left.
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
		m.openPane(p, next)
	}
	m.want(p)
}

// finish ends a pass and starts the next if sessions are queued.
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
	m.memory.used -= p.reserved // the pane being read will be dropped
	p.reserved, p.stage = 0, idle
	// Drop its pending tasks too: sessions may come and go faster than the
	// driver reads.
	m.tasks = slices.DeleteFunc(m.tasks, func(t Task) bool { return t.Pass == p.id })
	m.addTask(Task{Pass: p.id, Platform: p.platform.name})
	if len(p.platform.queue) > 0 {
		m.startPass(p.platform)
	} else {
		delete(m.platforms, p.platform.name)
	}
	m.grant()
}

// release returns the bytes of a pane to the budget, or leaves that to the last
// request that is being answered with its pages.
func (m *Machine) release(n *pane) {
	n.released = true
	if n.refs == 0 {
		m.memory.used -= n.bytes
		n.bytes = 0
	}
}
