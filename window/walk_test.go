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

// reader is what the walk knows of a session.
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

// TestMachine_Walk walks the table of the package's documentation at random,
// with many sessions at once, and holds the machine against what a list of
// sessions and their rows must come to.
func TestMachine_Walk(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(300) {
		walk(t, seed, seen)
	}
	for _, step := range []string{
		"-:active", "-:queued", "-:denied", "queued:active", "active:active", "active:waiting", "active:done",
		"waiting:active", "waiting:done", "queued:session-expired", "active:session-expired", "waiting:session-expired",
		"active:session-too-slow", "active:session-failed", "waiting:session-failed", "queued:left", "active:left", "waiting:left",
		"done:done", "done:session-finished", "active:repeated", "any:bad-cursor",
	} {
		require.NotZero(t, seen[step], "never walked: %s (of %v)", step, slices.Sorted(maps.Keys(seen)))
	}
}

func walk(t *testing.T, seed uint64, seen map[string]int) {
	r := rand.New(rand.NewPCG(seed, 1))
	lists := map[string]list{}
	for _, name := range []string{"a", "b", "c"} {
		lists[name] = list{rows: r.IntN(90), late: r.IntN(2) == 0, large: map[int]int64{r.IntN(90): 20_000 + r.Int64N(200_000)}}
	}
	d := newDriver(t, func(c *window.Config) { c.Memory = quantity.Bytes(80_000 + r.IntN(200_000)) }, lists)
	var readers []*reader
	var held []*window.Reading
	activated := map[string]int{}
	names := []string{"a", "b", "c"}
	note := func(w *reader, to window.State) {
		from := w.state
		if from == "" {
			from = "-"
		}
		seen[string(from)+":"+string(to)]++
		if to != window.Queued && (from == window.Queued || from == "-") {
			// Those who were open before and are still queued come later.
			for _, o := range readers {
				if o.platform == w.platform && o.order < w.order && o.over == "" && o.state == window.Queued {
					s, err := d.m.Session(d.now, o.id)
					require.True(t, err != nil || s.State != window.Queued, "seed %d: %s was activated before %s", seed, w.id, o.id)
				}
			}
			activated[w.platform]++
		}
		w.state = to
	}
	ended := func(w *reader, err error) {
		reason := "unknown"
		if e, ok := errors.AsType[*window.EndedError](err); ok {
			reason = string(e.Reason)
		}
		seen[string(w.state)+":"+reason]++
		w.over = reason
	}
	request := func(w *reader) {
		before := w.state
		if w.original {
			rd, err := d.m.Take(d.now, w.id)
			if errors.Is(err, window.ErrBusy) {
				return
			}
			if err != nil {
				ended(w, err)
				return
			}
			if rd.Page != nil {
				w.rows = append(w.rows, rd.Page.(page)[rd.From:rd.To]...)
				note(w, window.Active)
				held = append(held, rd)
				return
			}
			note(w, rd.Session.State)
			rd.Close(d.now)
			return
		}
		rd, err := d.m.Read(d.now, w.id, w.after, r.IntN(3)*5)
		switch {
		case errors.Is(err, window.ErrBusy):
			return
		case err != nil:
			require.NotErrorIs(t, err, window.ErrCursor, "seed %d", seed)
			ended(w, err)
			return
		case rd.Page == nil:
			note(w, rd.Session.State)
			rd.Close(d.now)
			return
		}
		note(w, window.Active)
		held = append(held, rd)
		if r.IntN(4) == 0 {
			seen["active:repeated"]++ // the answer is lost
			w.state = before
			if before == window.Queued {
				w.state = window.Active
			}
			return
		}
		w.rows = append(w.rows, rd.Page.(page)[rd.From:rd.To]...)
		w.after = rd.Next
	}
	check := func() {
		st := d.m.Status()
		require.GreaterOrEqual(t, st.MemoryUsed, int64(0))
		panes := 0
		for _, w := range st.Windows {
			require.LessOrEqual(t, w.Active, d.cfg.MaxActive, "seed %d", seed)
			if w.Bytes > 0 {
				panes++
			}
		}
		if st.MemoryUsed > limitOf(d.cfg) {
			require.LessOrEqual(t, panes, 1, "seed %d: over the limit, and not for one row alone", seed)
		}
		require.LessOrEqual(t, st.Queued, d.cfg.MaxQueued)
	}
	for step := range 400 {
		switch k := r.IntN(100); {
		case k < 12:
			w := &reader{platform: names[r.IntN(3)], original: r.IntN(4) == 0, order: step}
			s, err := d.m.Open(d.now, w.platform, "x")
			if err != nil {
				seen["-:denied"]++
				break
			}
			w.id = s.ID
			readers = append(readers, w)
			note(w, s.State)
		case k < 55 && len(readers) > 0:
			if w := readers[r.IntN(len(readers))]; w.over == "" {
				request(w)
			}
		case k < 58 && len(readers) > 0:
			w := readers[r.IntN(len(readers))]
			if _, err := d.m.Read(d.now, w.id, "id1-7x", 0); errors.Is(err, window.ErrCursor) {
				seen["any:bad-cursor"]++
			}
		case k < 60 && len(readers) > 0:
			w := readers[r.IntN(len(readers))]
			if w.over == "" && d.m.Leave(d.now, w.id) == nil {
				seen[string(w.state)+":left"]++
				w.over = "left"
			}
		case k < 75:
			d.do()
		case k < 76:
			if task, ok := d.m.Task(); ok && task.MaxBytes > 0 {
				d.m.Failed(d.now, task.Pass)
			}
		case k < 90 && len(held) > 0:
			i := r.IntN(len(held))
			held[i].Close(d.now)
			held = slices.Delete(held, i, i+1)
		case k < 95:
			d.now = d.now.Add(time.Duration(r.IntN(9000)) * time.Millisecond)
			d.m.Tick(d.now)
		case k < 96:
			d.now = d.now.Add(-time.Second)
		}
		check()
	}
	for _, rd := range held {
		rd.Close(d.now)
	}
	// Whoever is left reads to the end, all together.
	for range 2000 {
		busy := false
		for _, w := range readers {
			if w.over == "" && w.state != window.Done {
				request(w)
				busy = true
			}
			for _, rd := range held {
				rd.Close(d.now)
			}
			held = nil
		}
		d.doAll()
		d.now = d.now.Add(100 * time.Millisecond)
		d.m.Tick(d.now)
		check()
		if !busy {
			break
		}
	}
	for _, w := range readers {
		require.True(t, w.over != "" || w.state == window.Done, "seed %d: %s of %s never ended: %s", seed, w.id, w.platform, w.state)
		if w.over == "" || w.over == string(window.Finished) {
			require.Equal(t, numbers(lists[w.platform].rows), append([]int{}, w.rows...), "seed %d: %s", seed, w.id)
		}
	}
	require.Zero(t, d.m.Status().MemoryUsed, "seed %d", seed)
	require.Empty(t, d.m.Status().Windows)
}
