package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/app"
	"oriel/internal/quantity"
	"oriel/internal/sanitize"
)

func (o *oriel) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of the feeds, and what needs them; fails if one is missing, failed, held back or stale",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.status(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the response to GET /matcher/api/v1/feeds")
	return cmd
}

func (o *oriel) status(cmd *cobra.Command, asJSON bool) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := o.openReadOnly(cmd.Context(), cfg, app.Budget{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all, err := app.Health(cfg, db, nil).Feeds(cmd.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	if asJSON {
		e := json.NewEncoder(o.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(api.NewFeedList(all, now))
	} else {
		err = writeFeeds(o.stdout, all, now)
	}
	if err != nil {
		return err
	}
	if lagging := all.Lagging(now); len(lagging) > 0 {
		return fmt.Errorf("feeds that are missing, failed, held back or stale: %s", strings.Join(lagging, ", "))
	}
	return nil
}

// writeFeeds writes a table of the feeds and, below it, their errors. Automatic
// feeds that nothing ever needed are only counted.
func writeFeeds(out io.Writer, all clair.Feeds, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEED\tSTATE\tLAST SUCCESS\tLAST ATTEMPT\tNEXT RUN\tRECORDS\tSKIPPED\tNEWEST ADVISORY\tNEEDED FOR")
	unneeded := 0
	for i := range all {
		f := &all[i]
		if f.Auto && f.Enabled && f.Needed.IsZero() && f.LastAttempt.IsZero() {
			unneeded++
			continue
		}
		next, newest := "-", "-"
		if !f.NewestAdvisory.IsZero() {
			newest = ago(f.NewestAdvisory, now)
		}
		if f.NextRun.After(now) {
			next = "in " + quantity.Length(f.NextRun.Sub(now))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", f.Updater, f.Condition(now), ago(f.LastSuccess, now), ago(f.LastAttempt, now),
			next, f.Records, f.Skipped, newest, neededFor(f, now))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if unneeded > 0 {
		if _, err := fmt.Fprintf(out, "\nNot needed yet: %d automatic feeds\n", unneeded); err != nil {
			return err
		}
	}
	for i := range all {
		if f := &all[i]; f.Error != "" {
			if _, err := fmt.Fprintf(out, "\n%s: %s\n", f.Updater, sanitize.Text(f.Error)); err != nil {
				return err
			}
		}
	}
	return nil
}

// neededFor returns why a feed is fetched.
func neededFor(f *clair.Feed, now time.Time) string {
	switch {
	case !f.Configured || !f.Enabled:
		return "-" // it is not fetched
	case !f.Auto:
		return "always"
	case f.Needed.IsZero():
		return "-"
	case f.Condition(now) == clair.FeedIdle:
		return "nothing since " + f.NeededFor + ", " + ago(f.Needed, now)
	}
	return f.NeededFor + ", " + ago(f.Needed, now)
}

// ago returns the time that has passed since t, "never" if t is zero.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return quantity.Length(now.Sub(t)) + " ago"
}
