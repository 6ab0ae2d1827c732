package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"oriel/updater"
)

func (o *oriel) updateCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use: "update [FEED…]", Short: "Run the feeds once (all enabled ones, or those named) and exit; fails if any feed failed",
		Long: `Run the feeds once, all enabled ones or those named, and exit; fails if any feed failed. Beside a running
server it is that server that runs them, and this command waits for it.`,
		ValidArgsFunction: o.completeFeeds,
		RunE:              func(cmd *cobra.Command, names []string) error { return o.update(cmd.Context(), names, f) },
	}
	f.addOwner(cmd)
	return cmd
}

// completeFeeds offers the names of the enabled feeds to a shell.
func (o *oriel) completeFeeds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := loadConfig(o.configFile, os.Environ())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, f := range cfg.Feeds {
		if f.Enabled {
			names = append(names, f.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (o *oriel) update(ctx context.Context, names []string, f serverFlags) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := openOrAsk(ctx, cfg, log, f, takeMemory(cfg))
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
		fmt.Fprintf(o.stderr, "asking the server at %s\n", d.url)
		results, err := d.update(ctx, names, o.printResult)
		return errors.Join(failures(results), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := newProgress(o.stderr)
	m, done, err := newManager(cfg, db, log, p.show)
	if err != nil {
		return err
	}
	defer done()
	results, err := m.Update(ctx, names...)
	p.clear()
	if results == nil {
		return err
	}
	for _, r := range results {
		o.printResult(r)
	}
	if failed := failures(results); failed != nil {
		return failed
	}
	return err
}

// failures says how many runs failed; each has been printed.
func failures(results []updater.Result) error {
	failed := 0
	for _, r := range results {
		if r.Err != nil {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d feeds failed", failed, len(results))
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
