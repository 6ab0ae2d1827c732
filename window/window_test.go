package window_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/internal/quantity"
	"oriel/window"
)

// page is a page of rows by their numbers.
type page []int

func (p page) Rows() int { return len(p) }

// list describes a platform's list: all rows have the same size, except the
// large ones.
type list struct {
	rows  int
	large map[int]int64
	// late reports whether its end is noticed only when no rows are left.
	late bool
}

const rowBytes = 1000

// driver performs the machine's tasks, as package patches does.
type driver struct {
	t     testing.TB
	m     *window.Machine
	cfg   window.Config
	lists map[string]list
	at    map[int]int // rows read, by pass
	reads map[int]int // rows read in all, by pass
	now   time.Time
}

// do performs one task and reports whether there was one.
func (d *driver) do() bool {
	task, ok := d.m.Task()
	if !ok {
		return false
	}
	if task.MaxBytes == 0 {
		delete(d.at, task.Pass)
		return true
	}
	l := d.lists[task.Platform]
	at := d.at[task.Pass]
	var pane window.Pane
	var p page
	for n := 0; at < l.rows && n < d.cfg.PaneRows; n++ {
		size := int64(rowBytes)
		if s, ok := l.large[at]; ok {
			size = s
		}
		if pane.Bytes+size > task.MaxBytes && (n > 0 || task.MaxBytes < limitOf(d.cfg)) {
			if n == 0 {
				d.m.TooSmall(d.now, task.Pass, size)
				return true
			}
			break
		}
		pane.Bytes += size
		p = append(p, at)
		at++
		if len(p) == d.cfg.PageRows {
			pane.Pages, p = append(pane.Pages, p), nil
		}
	}
	if len(p) > 0 {
		pane.Pages = append(pane.Pages, p)
	}
	pane.Last = at == l.rows && (!l.late || len(pane.Pages) == 0)
	d.reads[task.Pass] += at - d.at[task.Pass]
	d.at[task.Pass] = at
	d.m.Prepared(d.now, task.Pass, pane)
	return true
}

func limitOf(c window.Config) int64 { return int64(c.Memory) / 8 * 7 }

func newDriver(t testing.TB, change func(*window.Config), lists map[string]list) *driver {
	cfg := window.Default()
	cfg.MaxActive, cfg.MaxQueued, cfg.PaneRows, cfg.PageRows, cfg.Memory = 3, 4, 20, 8, 200_000
	cfg.SessionTimeout, cfg.PaneTimeout, cfg.PassTimeout = quantity.Duration(30*time.Second), quantity.Duration(2*time.Minute), quantity.Duration(15*time.Minute)
	if change != nil {
		change(&cfg)
	}
	n := 0
	ids := func() string { n++; return fmt.Sprintf("id%d", n) }
	return &driver{
		t: t, m: window.New(cfg, ids), cfg: cfg, lists: lists,
		at: map[int]int{}, reads: map[int]int{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func (d *driver) doAll() {
	for d.do() {
	}
}

func (d *driver) open(platform string) window.SessionID {
	d.t.Helper()
	s, err := d.m.Open(d.now, platform, "client")
	require.NoError(d.t, err)
	return s.ID
}

// read is one request for rows, answered at once.
func (d *driver) read(id window.SessionID, after string) (rows []int, next string, state window.State) {
	d.t.Helper()
	r, err := d.m.Read(d.now, id, after, 0)
	require.NoError(d.t, err)
	defer r.Close(d.now)
	if r.Page == nil {
		return nil, after, r.Session.State
	}
	return r.Page.(page)[r.From:r.To], r.Next, r.Session.State
}

// readAll reads until no rows are available.
func (d *driver) readAll(id window.SessionID, after string) (all []int, next string, state window.State) {
	d.t.Helper()
	for next = after; ; {
		var rows []int
		d.doAll()
		if rows, next, state = d.read(id, next); rows == nil {
			return all, next, state
		}
		all = append(all, rows...)
	}
}

func (d *driver) ends(id window.SessionID, after string, reason window.Reason) {
	d.t.Helper()
	_, err := d.m.Read(d.now, id, after, 0)
	ended, ok := errors.AsType[*window.EndedError](err)
	require.True(d.t, ok, "%v", err)
	require.Equal(d.t, reason, ended.Reason)
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestMachine_ReadsTheWholeListTogether(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 50}})
	first, second := d.open("a"), d.open("a")
	fast, next, state := d.readAll(first, "")
	require.Equal(t, numbers(20), fast)
	require.Equal(t, window.Waiting, state)
	third := d.open("a") // the window has not slid yet
	fourth := d.open("a")
	s, err := d.m.Session(d.now, fourth)
	require.NoError(t, err)
	require.Equal(t, window.Queued, s.State, "three are active")
	require.Equal(t, 1, s.Position)
	var got [2][]int
	var at [2]string
	for done := 0; done < 2; {
		done = 0
		for i, id := range []window.SessionID{second, third} {
			rows, n, st := d.readAll(id, at[i])
			got[i], at[i] = append(got[i], rows...), n
			if st == window.Done {
				done++
			}
		}
		if state != window.Done {
			var rows []int
			rows, next, state = d.readAll(first, next)
			fast = append(fast, rows...)
		}
	}
	require.Equal(t, numbers(50), fast)
	require.Equal(t, numbers(50), got[0])
	require.Equal(t, numbers(50), got[1])
	require.Equal(t, 50, d.reads[1], "one pass for all")
	all, _, state := d.readAll(fourth, "")
	require.Equal(t, numbers(50), all)
	require.Equal(t, window.Done, state)
	require.Equal(t, 50, d.reads[2])
	require.Zero(t, d.m.Status().Memory.Used)
}

func TestMachine_RepeatsAndRefuses(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 10}, "b": {rows: 10}})
	a, b := d.open("a"), d.open("b")
	d.doAll()
	refused := func(id window.SessionID, after string) {
		t.Helper()
		_, err := d.m.Read(d.now, id, after, 0)
		require.ErrorIs(t, err, window.ErrCursor)
	}
	one, next, _ := d.read(a, "")
	again, same, _ := d.read(a, "")
	require.Equal(t, one, again)
	require.Equal(t, next, same)
	refused(b, next)
	_, otherNext, _ := d.read(b, "")
	refused(a, otherNext)
	refused(a, next+"0")
	refused(a, "nonsense")
	two, end, _ := d.read(a, next)
	require.Equal(t, []int{8, 9}, two)
	refused(a, "")
	two, _, _ = d.read(a, next)
	require.Equal(t, []int{8, 9}, two)
	for range 2 {
		rows, _, state := d.read(a, end)
		require.Empty(t, rows)
		require.Equal(t, window.Done, state)
		d.now = d.now.Add(29 * time.Second)
	}
	d.now = d.now.Add(2 * time.Second)
	d.ends(a, end, window.Finished)
	_, err := d.m.Read(d.now, "invented", "", 0)
	require.ErrorIs(t, err, window.ErrUnknown)
	// A smaller limit cuts a page, and a repeated request returns the same rows.
	c := d.open("a")
	d.doAll()
	for range 2 {
		r, err := d.m.Read(d.now, c, "", 3)
		require.NoError(t, err)
		require.Equal(t, page{0, 1, 2}, r.Page.(page)[r.From:r.To])
		next = r.Next
		r.Close(d.now)
	}
	rest, _, _ := d.read(c, next)
	require.Equal(t, []int{3, 4, 5, 6, 7}, rest)
}

func TestMachine_Expels(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 50}})
	silent, slow, good := d.open("a"), d.open("a"), d.open("a")
	queued := d.open("a")
	_, next, _ := d.readAll(good, "")
	_, held, _ := d.readAll(slow, "")
	require.NotEmpty(t, held)
	poll := func(ids ...window.SessionID) {
		for _, id := range ids {
			_, err := d.m.Session(d.now, id)
			require.NoError(t, err)
		}
	}
	d.now = d.now.Add(29 * time.Second)
	poll(slow, good, queued)
	d.now = d.now.Add(time.Second)
	d.m.Tick(d.now)
	d.ends(silent, "", window.Expired)
	// The others go on; one of them polls, but reads no further.
	_, next, state := d.readAll(good, next)
	require.Equal(t, window.Waiting, state)
	for range 5 {
		d.now = d.now.Add(24 * time.Second)
		d.m.Tick(d.now)
		_, err := d.m.Session(d.now, good)
		require.NoError(t, err)
		_, _ = d.m.Session(d.now, slow)
		poll(queued)
	}
	d.ends(slow, held, window.TooSlow)
	// The clocks of a waiting session are stopped.
	rows, _, state := d.readAll(good, next)
	require.Equal(t, window.Done, state)
	require.Equal(t, 49, rows[len(rows)-1])
	// A clock that is set back changes nothing.
	d.now = d.now.Add(-time.Hour)
	d.m.Tick(d.now)
	poll(queued)
	all, _, state := d.readAll(queued, "")
	require.Equal(t, window.Done, state)
	require.Equal(t, numbers(50), all)
}

// A request in progress counts as activity, but does not stop the clock of
// pane_timeout.
func TestMachine_LongRequests(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 10}})
	a := d.open("a")
	d.doAll()
	r, err := d.m.Read(d.now, a, "", 0)
	require.NoError(t, err)
	require.Equal(t, d.now.Add(2*time.Minute), r.Deadline)
	d.now = d.now.Add(time.Minute)
	d.m.Tick(d.now)
	_, err = d.m.Session(d.now, a)
	require.NoError(t, err)
	d.now = d.now.Add(time.Minute)
	d.m.Tick(d.now)
	d.ends(a, "", window.TooSlow)
	require.NotZero(t, d.m.Status().Memory.Used, "bytes being sent are in use")
	require.True(t, r.Grow(10))
	r.Close(d.now)
	r.Close(d.now)
	require.Zero(t, d.m.Status().Memory.Used)
}

func TestMachine_Denies(t *testing.T) {
	d := newDriver(t, func(c *window.Config) { c.MaxPerClient = 5 }, map[string]list{"a": {rows: 30}})
	for i := range 7 {
		_, err := d.m.Open(d.now, "a", fmt.Sprint(i%2))
		require.NoError(t, err)
	}
	_, err := d.m.Open(d.now, "a", "0")
	require.ErrorIs(t, err, window.ErrQueueFull)
	require.Equal(t, 4, d.m.Status().Queued)
	for i := range 6 {
		_, err = d.m.Open(d.now, fmt.Sprint("p", i), "2")
	}
	require.ErrorIs(t, err, window.ErrClientFull)
}

// Rows larger than a share are served one by one, and so is one that is larger
// than the whole budget.
func TestMachine_LargeRows(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 30, large: map[int]int64{0: 60_000, 7: 100_000, 8: 500_000, 29: 170_000}}, "b": {rows: 30}})
	a, b := d.open("a"), d.open("b")
	var gotA, gotB []int
	var stateA, stateB window.State
	var nextA, nextB string
	for i := 0; stateA != window.Done || stateB != window.Done; i++ {
		require.Less(t, i, 1000)
		var rows []int
		if stateA != window.Done {
			rows, nextA, stateA = d.readAll(a, nextA)
			gotA = append(gotA, rows...)
		}
		if stateB != window.Done {
			rows, nextB, stateB = d.readAll(b, nextB)
			gotB = append(gotB, rows...)
		}
	}
	require.Equal(t, numbers(30), gotA)
	require.Equal(t, numbers(30), gotB)
	require.Zero(t, d.m.Status().Memory.Used)
}

// A waiting request is woken when rows are available and at the end of the
// list, even if the last pane is empty.
func TestMachine_Wakes(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 40, late: true}})
	a, b := d.open("a"), d.open("a")
	nothing := func(id window.SessionID, after string) <-chan struct{} {
		r, err := d.m.Read(d.now, id, after, 0)
		require.NoError(t, err)
		require.Nil(t, r.Page)
		require.NotNil(t, r.Wake)
		r.Close(d.now)
		return r.Wake
	}
	first := nothing(a, "")
	d.doAll()
	<-first
	_, nextA, state := d.readAll(a, "")
	require.Equal(t, window.Waiting, state)
	slide := nothing(a, nextA)
	_, nextB, state := d.readAll(b, "")
	require.Equal(t, window.Waiting, state)
	<-slide
	end := nothing(b, nextB)
	d.doAll()
	_, _, state = d.readAll(a, nextA)
	require.Equal(t, window.Done, state, "the end was ready")
	<-end
	_, _, state = d.read(b, nextB)
	require.Equal(t, window.Done, state)
}

func TestMachine_Fails(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 30}})
	a := d.open("a")
	task, ok := d.m.Task()
	require.True(t, ok)
	d.m.Failed(d.now, task.Pass)
	d.ends(a, "", window.Failing)
	require.Zero(t, d.m.Status().Memory.Used)
	all, _, _ := d.readAll(d.open("a"), "")
	require.Len(t, all, 30)
}

// PAT-06 with the default limits: 128 sessions are active and 1,024 queued, the
// next is denied, and the queue moves on in order of arrival.
func TestMachine_DefaultLimits(t *testing.T) {
	limits := window.Default()
	d := newDriver(t, func(c *window.Config) { c.MaxActive, c.MaxQueued = limits.MaxActive, limits.MaxQueued }, map[string]list{"a": {rows: 5}})
	var all []window.SessionID
	for range 128 + 1024 {
		all = append(all, d.open("a"))
	}
	_, err := d.m.Open(d.now, "a", "client")
	require.ErrorIs(t, err, window.ErrQueueFull)
	for len(all) > 0 {
		for i, id := range all {
			s, err := d.m.Session(d.now, id)
			require.NoError(t, err)
			require.Equal(t, max(0, i-127), s.Position)
		}
		n := min(128, len(all))
		for _, id := range all[:n] {
			rows, _, state := d.readAll(id, "")
			require.Equal(t, numbers(5), rows)
			require.Equal(t, window.Done, state)
		}
		all = all[n:]
	}
	require.Zero(t, d.m.Status().Queued)
}

// Sessions that leave before a pane was read for them leave no tasks behind.
func TestMachine_ComeAndGo(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 5}})
	for range 1000 {
		require.NoError(t, d.m.Leave(d.now, d.open("a")))
	}
	for task, ok := d.m.Task(); ok; task, ok = d.m.Task() {
		require.Zero(t, task.MaxBytes)
	}
	require.Zero(t, d.m.Status().Memory.Used)
}

// Sessions of a platform whose list is not available yet wait in the queue, with
// their positions, until it is, or are told why it will not be.
func TestMachine_Held(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 30}, "b": {rows: 5}})
	held := func(platform string) window.SessionID {
		s, err := d.m.OpenHeld(d.now, platform, "client")
		require.NoError(t, err)
		require.Equal(t, window.Queued, s.State)
		return s.ID
	}
	first, second := held("a"), held("a")
	refused, left := held("b"), held("b")
	s, err := d.m.Session(d.now, second)
	require.NoError(t, err)
	require.Equal(t, 2, s.Position)
	require.Equal(t, []string{"a", "b"}, d.m.Held())
	_, err = d.m.OpenHeld(d.now, "c", "client")
	require.ErrorIs(t, err, window.ErrQueueFull, "held sessions count as queued")
	_, ok := d.m.Task()
	require.False(t, ok, "nothing is read for a held platform")
	require.Empty(t, d.m.Status().Windows)
	require.Equal(t, 4, d.m.Status().Queued)

	waiting, err := d.m.Read(d.now, first, "", 0)
	require.NoError(t, err)
	require.Nil(t, waiting.Page)
	waiting.Close(d.now)
	d.m.Release(d.now, "a")
	<-waiting.Wake
	for _, id := range []window.SessionID{first, second} {
		_, next, _ := d.readAll(id, "")
		require.NotEmpty(t, next)
	}
	require.Equal(t, []string{"b"}, d.m.Held())

	require.NoError(t, d.m.Leave(d.now, left))
	d.m.Refuse(d.now, "b", "the feed b could not be fetched: HTTP 404")
	_, err = d.m.Session(d.now, refused)
	ended, ok := errors.AsType[*window.EndedError](err)
	require.True(t, ok)
	require.Equal(t, window.Unavailable, ended.Reason)
	require.ErrorContains(t, err, "HTTP 404")
	require.Empty(t, d.m.Held())
	// A later session does not depend on what happened before.
	rows, _, state := d.readAll(d.open("b"), "")
	require.Equal(t, numbers(5), rows)
	require.Equal(t, window.Done, state)
	d.m.Release(d.now, "nobody")
	d.m.Refuse(d.now, "nobody", "x")
}

// A held session that stops polling is expelled, and leaves nothing behind.
func TestMachine_HeldExpires(t *testing.T) {
	d := newDriver(t, nil, map[string]list{"a": {rows: 5}})
	s, err := d.m.OpenHeld(d.now, "a", "client")
	require.NoError(t, err)
	d.now = d.now.Add(31 * time.Second)
	d.m.Tick(d.now)
	d.ends(s.ID, "", window.Expired)
	require.Empty(t, d.m.Held())
	require.Zero(t, d.m.Status().Queued)
}
