package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"oriel/store"
	"oriel/updater"
)

func (o *oriel) updateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "update [FEED…]", Short: "Run the feeds once (all enabled ones, or those named) and exit; fails if any feed failed",
		RunE: o.update,
	}
}

func (o *oriel) update(cmd *cobra.Command, names []string) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(cmd.Context(), cfg.Store.Path, store.Options{Schema: schema, Memory: takeMemory(cfg).sqlite, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := newProgress(o.stderr)
	m, done, err := newManager(cfg, db, log, p.show)
	if err != nil {
		return err
	}
	defer done()
	results, err := m.Update(cmd.Context(), names...)
	p.clear()
	if results == nil {
		return err
	}
	failed := 0
	for _, r := range results {
		o.printResult(r)
		if r.Err != nil {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d feeds failed", failed, len(results))
	}
	return err
}

// printResult prints how one feed's run went.
func (o *oriel) printResult(r updater.Result) {
	took := r.Took.Round(time.Millisecond)
	switch {
	case r.Err != nil:
		fmt.Fprintf(o.stdout, "%s: failed after %v: %v\n", r.Updater, took, r.Err)
	case r.Unchanged():
		fmt.Fprintf(o.stdout, "%s: unchanged (%v)\n", r.Updater, took)
	}
	for _, op := range r.Operations {
		name := r.Updater
		if op.Updater != name {
			name += ": " + op.Updater // one of a set
		}
		fmt.Fprintf(o.stdout, "%s: operation %s: %d added, %d removed, %d unchanged (%v)\n", name, op.Ref, op.Added, op.Removed, op.Unchanged, took)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(o.stdout, "%s: %d records skipped: %s\n", r.Updater, r.Skipped, r.Sample)
	}
}

// progress shows how far the feeds are: as a line that is drawn again and
// again on a terminal, else as a line for each stage.
type progress struct {
	out      io.Writer
	terminal bool

	// mu guards what follows.
	mu     sync.Mutex
	feeds  map[string]updater.Progress
	order  []string
	drawn  time.Time
	stages map[string]updater.Stage
}

// redraw is the shortest time between two drawings.
const redraw = 100 * time.Millisecond

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{
		out: out, terminal: ok && term.IsTerminal(int(f.Fd())),
		feeds: map[string]updater.Progress{}, stages: map[string]updater.Stage{},
	}
}

// show is called by the runs' goroutines.
func (p *progress) show(u updater.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		if p.stages[u.Updater] != u.Stage && u.Stage != updater.StageDone {
			fmt.Fprintf(p.out, "%s: %s\n", u.Updater, u.Stage)
		}
		p.stages[u.Updater] = u.Stage
		return
	}
	if _, ok := p.feeds[u.Updater]; !ok {
		p.order = append(p.order, u.Updater)
	}
	p.feeds[u.Updater] = u
	if time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	var parts []string
	for _, name := range p.order {
		if f := p.feeds[name]; f.Stage != updater.StageDone {
			parts = append(parts, bar(f))
		}
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", strings.Join(parts, "  "))
}

// bar draws one feed.
func bar(f updater.Progress) string {
	const width = 20
	if f.Stage == updater.StageImporting {
		return fmt.Sprintf("%s: %d rows", f.Updater, f.Rows)
	}
	if f.Total <= 0 {
		return fmt.Sprintf("%s: %s %.1f MB", f.Updater, f.Stage, float64(f.Done)/1e6)
	}
	full := int(width * min(f.Done, f.Total) / f.Total)
	return fmt.Sprintf("%s: [%s%s] %d%%", f.Updater, strings.Repeat("#", full), strings.Repeat(".", width-full), 100*f.Done/f.Total)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
