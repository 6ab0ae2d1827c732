package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/internal/sanitize"
	"oriel/updater"
)

func (o *oriel) updateCommand() *cobra.Command {
	var f serverFlags
	var accept bool
	cmd := &cobra.Command{
		Use:   "update [FEED…]",
		Short: "Update the feeds in use, or those named, once; fails if any feed fails",
		Long: `Update the feeds in use, or those named, once. A feed with enabled = "auto" is in use once a report needed it
or its name was given here. If a server owns the database, it updates them, and the command waits for it.
A feed that lost more records than updater.max_shrink permits keeps its old data unless --accept is given.`,
		ValidArgsFunction: o.completeFeeds,
		RunE:              func(cmd *cobra.Command, names []string) error { return o.update(cmd.Context(), names, accept, f) },
	}
	cmd.Flags().BoolVar(&accept, "accept", false, "take the state of the named feeds although it has many records less")
	f.addOwner(cmd)
	return cmd
}

// completeFeeds returns the names of the enabled feeds to a shell.
func (o *oriel) completeFeeds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := app.Load(o.configFile, os.Environ(), o.assets)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return cfg.FeedNames(), cobra.ShellCompDirectiveNoFileComp
}

func (o *oriel) update(ctx context.Context, names []string, accept bool, f serverFlags) (err error) {
	if accept && len(names) == 0 {
		return usageError{clair.Invalid("accept", "name the feeds whose state is to be taken")}
	}
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := o.openOrAsk(ctx, cfg, log, f, app.TakeMemory(cfg))
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
		fmt.Fprintf(o.stderr, "asking the server at %s\n", d.URL())
		runs, err := d.RunFeeds(ctx, names, accept, func(r client.FeedRun) { o.printResult(resultOf(r)) })
		var results []updater.Result
		for _, r := range runs {
			results = append(results, resultOf(r))
		}
		return errors.Join(failures(results), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := newProgress(o.stderr)
	m, done, err := app.NewManager(cfg, db, log, showFeeds(p))
	if err != nil {
		return err
	}
	defer done()
	if accept {
		if err := m.Accept(ctx, names...); err != nil {
			return err
		}
	}
	results, err := m.Update(ctx, names...)
	p.clear()
	if results == nil {
		return err
	}
	if len(results) == 0 {
		fmt.Fprintln(o.stderr, `no feeds are in use: those with enabled = "auto" are fetched once something needs them`)
	}
	for _, r := range results {
		o.printResult(r)
	}
	if failed := failures(results); failed != nil {
		return failed
	}
	return err
}

// failures returns an error with the number of failed runs, each of which has
// been printed; nil if there are none.
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

// printResult prints the outcome of one run.
func (o *oriel) printResult(r updater.Result) {
	took := r.Took.Round(time.Millisecond)
	switch {
	case r.Err != nil:
		fmt.Fprintf(o.stdout, "%s: failed after %v: %s\n", r.Updater, took, sanitize.Text(r.Err.Error()))
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
		fmt.Fprintf(o.stdout, "%s: %d records skipped: %s\n", r.Updater, r.Skipped, sanitize.Text(r.Sample))
	}
}

// resultOf describes a run that a server made as a run made here is described.
func resultOf(run client.FeedRun) updater.Result {
	f := run.After
	r := updater.Result{Updater: f.Name, Took: time.Duration(f.TookMS) * time.Millisecond}
	switch {
	case run.Interrupted():
		r.Err = fmt.Errorf("%w: the server ended the run before it finished", clair.ErrUnavailable)
	case f.Error != "":
		r.Err = errors.New(f.Error)
	case run.NewOperation():
		r.Operations = []clair.UpdateResult{{
			UpdateOperation: clair.UpdateOperation{
				Ref:     *f.Operation,
				Updater: f.Name,
				Kind:    f.Kind,
			},
			Added:     f.Added,
			Removed:   f.Removed,
			Unchanged: f.Records - f.Added,
		}}
		r.Skipped, r.Sample = f.Skipped, f.SkippedSample
	}
	return r
}

// showFeeds draws runs of feeds.
func showFeeds(p *progress) func(updater.Progress) {
	return func(u updater.Progress) {
		item := progressItem{stage: string(u.Stage), done: u.Stage == updater.StageDone}
		switch {
		case u.Stage == updater.StageImporting:
			item.text = fmt.Sprintf("%d rows", u.Rows)
		case u.Total <= 0:
			item.text = fmt.Sprintf("%s %.1f MB", u.Stage, float64(u.Done)/1e6)
		default:
			item.text = fmt.Sprintf("%s %d%%", bar(u.Done, u.Total), 100*u.Done/u.Total)
		}
		p.show(u.Updater, item)
	}
}
