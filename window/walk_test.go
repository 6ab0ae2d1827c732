package window_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/internal/quantity"
	"oriel/window"
)

// reader is a session of the walk.
type reader struct {
	id       window.SessionID
	platform string
	rows     []int
	after    string
	state    window.State
	original bool
	over     string
	order    int
}

// TestMachine_Walk walks the tables of the package's documentation at random,
// with many sessions at once, and compares what the sessions receive with the
// lists.
func TestMachine_Walk(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(300) {
		w := newWalker(t, seed, seen)
		for order := range 400 {
			w.step(order)
			w.check()
		}
		w.finish()
	}
	for _, step := range []string{
		"-:active", "-:queued", "-:denied", "queued:active", "active:active", "active:waiting", "active:done",
		"waiting:active", "waiting:done", "queued:session-expired", "active:session-expired", "waiting:session-expired",
		"active:session-too-slow", "active:session-failed", "waiting:session-failed", "queued:left", "active:left", "waiting:left",
		"queued:unknown-platform", "done:done", "done:session-finished", "active:repeated", "any:bad-cursor",
	} {
		require.NotZero(t, seen[step], "never walked: %s (of %v)", step, slices.Sorted(maps.Keys(seen)))
	}
}

// walker walks a machine with a random but repeatable sequence of steps.
type walker struct {
	*testing.T
	seed    uint64
	r       *rand.Rand
	d       *driver
	lists   map[string]list
	readers []*reader
	reading []*window.Reading // not closed yet
	seen    map[string]int    // transitions, by "from:to"
}

func platforms() []string { return []string{"a", "b", "c"} }

func newWalker(t *testing.T, seed uint64, seen map[string]int) *walker {
	r := rand.New(rand.NewPCG(seed, 1))
	lists := map[string]list{}
	for _, name := range platforms() {
		lists[name] = list{rows: r.IntN(90), late: r.IntN(2) == 0, large: map[int]int64{r.IntN(90): 20_000 + r.Int64N(200_000)}}
	}
	d := newDriver(t, func(c *window.Config) { c.Memory = quantity.Bytes(80_000 + r.IntN(200_000)) }, lists)
	return &walker{T: t, seed: seed, r: r, d: d, lists: lists, seen: seen}
}

// note records the transition of a session.
func (w *walker) note(s *reader, to window.State) {
	from := s.state
	if from == "" {
		from = "-"
	}
	w.seen[string(from)+":"+string(to)]++
	if to != window.Queued && (from == window.Queued || from == "-") {
		// No session that was opened earlier is still queued.
		for _, o := range w.readers {
			if o.platform == s.platform && o.order < s.order && o.over == "" && o.state == window.Queued {
				other, err := w.d.m.Session(w.d.now, o.id)
				require.True(w, err != nil || other.State != window.Queued, "seed %d: %s was activated before %s", w.seed, s.id, o.id)
			}
		}
	}
	s.state = to
}

// ended records the end of a session.
func (w *walker) ended(s *reader, err error) {
	reason := "unknown"
	if e, ok := errors.AsType[*window.EndedError](err); ok {
		reason = string(e.Reason)
	}
	w.seen[string(s.state)+":"+reason]++
	s.over = reason
}

// take requests rows in the original protocol.
func (w *walker) take(s *reader) {
	rd, err := w.d.m.Take(w.d.now, s.id)
	switch {
	case errors.Is(err, window.ErrBusy):
	case err != nil:
		w.ended(s, err)
	case rd.Page != nil:
		s.rows = append(s.rows, rd.Page.(page)[rd.From:rd.To]...)
		w.note(s, window.Active)
		w.reading = append(w.reading, rd)
	default:
		w.note(s, rd.Session.State)
		rd.Close(w.d.now)
	}
}

// request requests rows. One response in four is lost.
func (w *walker) request(s *reader) {
	if s.original {
		w.take(s)
		return
	}
	before := s.state
	rd, err := w.d.m.Read(w.d.now, s.id, s.after, w.r.IntN(3)*5)
	switch {
	case errors.Is(err, window.ErrBusy):
		return
	case err != nil:
		require.NotErrorIs(w, err, window.ErrCursor, "seed %d", w.seed)
		w.ended(s, err)
		return
	case rd.Page == nil:
		w.note(s, rd.Session.State)
		rd.Close(w.d.now)
		return
	}
	w.note(s, window.Active)
	w.reading = append(w.reading, rd)
	if w.r.IntN(4) == 0 {
		w.seen["active:repeated"]++
		s.state = before
		if before == window.Queued {
			s.state = window.Active
		}
		return
	}
	s.rows = append(s.rows, rd.Page.(page)[rd.From:rd.To]...)
	s.after = rd.Next
}

// check checks the invariants that Status shows.
func (w *walker) check() {
	st := w.d.m.Status()
	require.GreaterOrEqual(w, st.Memory.Used, int64(0))
	panes := 0
	for _, of := range st.Windows {
		require.LessOrEqual(w, of.Active, w.d.cfg.MaxActive, "seed %d", w.seed)
		if of.Bytes > 0 {
			panes++
		}
	}
	if st.Memory.Used > limitOf(w.d.cfg) {
		require.LessOrEqual(w, panes, 1, "seed %d: over the limit, and not for a single row", w.seed)
	}
	require.LessOrEqual(w, st.Queued, w.d.cfg.MaxQueued)
}

func (w *walker) open(order int) {
	s := &reader{platform: platforms()[w.r.IntN(3)], original: w.r.IntN(4) == 0, order: order}
	openSession := w.d.m.Open
	if w.r.IntN(4) == 0 {
		openSession = w.d.m.OpenHeld
	}
	opened, err := openSession(w.d.now, s.platform, "x")
	if err != nil {
		w.seen["-:denied"]++
		return
	}
	s.id = opened.ID
	w.readers = append(w.readers, s)
	w.note(s, opened.State)
}

// step takes one random step.
func (w *walker) step(order int) {
	r, d := w.r, w.d
	switch k := r.IntN(100); {
	case k < 12:
		w.open(order)
	case k < 55 && len(w.readers) > 0:
		if s := w.readers[r.IntN(len(w.readers))]; s.over == "" {
			w.request(s)
		}
	case k < 58 && len(w.readers) > 0:
		s := w.readers[r.IntN(len(w.readers))]
		if _, err := d.m.Read(d.now, s.id, "id1-7x", 0); errors.Is(err, window.ErrCursor) {
			w.seen["any:bad-cursor"]++
		}
	case k < 60 && len(w.readers) > 0:
		s := w.readers[r.IntN(len(w.readers))]
		if s.over == "" && d.m.Leave(d.now, s.id) == nil {
			w.seen[string(s.state)+":left"]++
			s.over = "left"
		}
	case k < 75:
		d.do()
	case k < 77:
		for _, name := range d.m.Held() {
			if r.IntN(3) == 0 {
				d.m.Refuse(d.now, name, "no feed")
			} else {
				d.m.Release(d.now, name)
			}
		}
	case k < 78:
		if task, ok := d.m.Task(); ok && task.MaxBytes > 0 {
			d.m.Failed(d.now, task.Pass)
		}
	case k < 90 && len(w.reading) > 0:
		i := r.IntN(len(w.reading))
		w.reading[i].Close(d.now)
		w.reading = slices.Delete(w.reading, i, i+1)
	case k < 95:
		d.now = d.now.Add(time.Duration(r.IntN(9000)) * time.Millisecond)
		d.m.Tick(d.now)
	case k < 96:
		d.now = d.now.Add(-time.Second)
	}
}

func (w *walker) closeReadings() {
	for _, rd := range w.reading {
		rd.Close(w.d.now)
	}
	w.reading = nil
}

// finish lets the remaining sessions read to the end, and checks what each
// has read.
func (w *walker) finish() {
	w.closeReadings()
	for _, name := range w.d.m.Held() {
		w.d.m.Release(w.d.now, name)
	}
	for range 2000 {
		busy := false
		for _, s := range w.readers {
			if s.over == "" && s.state != window.Done {
				w.request(s)
				busy = true
			}
			w.closeReadings()
		}
		w.d.doAll()
		w.d.now = w.d.now.Add(100 * time.Millisecond)
		w.d.m.Tick(w.d.now)
		w.check()
		if !busy {
			break
		}
	}
	for _, s := range w.readers {
		require.True(w, s.over != "" || s.state == window.Done, "seed %d: %s of %s never ended: %s", w.seed, s.id, s.platform, s.state)
		if s.over == "" || s.over == string(window.Finished) {
			require.Equal(w, numbers(w.lists[s.platform].rows), append([]int{}, s.rows...), "seed %d: %s", w.seed, s.id)
		}
	}
	require.Zero(w, w.d.m.Status().Memory.Used, "seed %d", w.seed)
	require.Empty(w, w.d.m.Status().Windows)
}
