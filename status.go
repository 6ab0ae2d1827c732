package main

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
	"oriel/server"
	"oriel/store"
)

func (o *oriel) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Tell how the feeds are doing, from the database alone; fails if any is missing, failed or stale", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.status(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as GET /matcher/api/v1/feeds answers")
	return cmd
}

func (o *oriel) status(cmd *cobra.Command, asJSON bool) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(cmd.Context(), cfg.Store.Path, store.Options{ReadOnly: true})
	if errors.Is(err, clair.ErrNotFound) {
		return fmt.Errorf("%w: run \"oriel update\" first", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all, err := health(cfg, db, nil).Feeds(cmd.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	if asJSON {
		e := json.NewEncoder(o.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(server.NewFeedList(all, now))
	} else {
		err = writeFeeds(o.stdout, all, now)
	}
	if err != nil {
		return err
	}
	if lagging := all.Lagging(now); len(lagging) > 0 {
		return fmt.Errorf("feeds that are missing, failed or stale: %s", strings.Join(lagging, ", "))
	}
	return nil
}

// writeFeeds writes a table of the feeds and, below it, what went wrong.
func writeFeeds(out io.Writer, all clair.Feeds, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEED\tSTATE\tLAST SUCCESS\tLAST ATTEMPT\tNEXT RUN\tRECORDS\tSKIPPED\tNEWEST ADVISORY")
	for i := range all {
		f := &all[i]
		next, newest := "-", "-"
		if !f.NewestAdvisory.IsZero() {
			newest = ago(f.NewestAdvisory, now)
		}
		if f.NextRun.After(now) {
			next = "in " + age(f.NextRun.Sub(now))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", f.Updater, f.Condition(now), ago(f.LastSuccess, now), ago(f.LastAttempt, now),
			next, f.Records, f.Skipped, newest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range all {
		if f := &all[i]; f.Error != "" {
			if _, err := fmt.Fprintf(out, "\n%s: %s\n", f.Updater, plain(f.Error)); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain is a text from outside without what a terminal would obey.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}

// ago says how long ago something was, "never" for the zero time.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return age(now.Sub(t)) + " ago"
}

// age is a length of time in its largest unit or two, such as "3d4h".
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 10*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
