package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/sanitize"
	"oriel/match"
	"oriel/store"
)

// changesFlags are the flags of changes.
type changesFlags struct{ since, manifest, format string }

func (o *oriel) changesCommand() *cobra.Command {
	var f changesFlags
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "Show how the findings of stored manifests have changed",
		Long: `Show which vulnerabilities were added to, removed from or changed for the stored manifests since a time
(2026-01-31T12:00:00Z), for a duration up to now (24h), or since an update operation. If an operation that is
needed for the comparison is no longer kept, a warning names its feed.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.changes(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.since, "since", "24h", "a time, a duration, or an update operation")
	cmd.Flags().StringVar(&f.manifest, "manifest", "", "digest of one manifest (default: all)")
	cmd.Flags().StringVarP(&f.format, "format", "f", "table", "table, or json with one change a line")
	return cmd
}

func (o *oriel) changes(ctx context.Context, f changesFlags) (err error) {
	since, err := clair.ParseSince(f.since, time.Now())
	if err != nil {
		return usageError{err}
	}
	var manifest clair.Digest
	if f.manifest != "" {
		if manifest, err = clair.ParseDigest(f.manifest); err != nil {
			return usageError{err}
		}
	}
	if f.format != "table" && f.format != "json" {
		return usageError{clair.Invalid("format", "%.40q is neither table nor json", f.format)}
	}
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := o.openReadOnly(ctx, cfg, app.TakeMemory(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	set, err := db.Changes(ctx, since, manifest, match.NewJudge().Certain)
	if err != nil {
		return err
	}
	defer set.Close()
	if len(set.Partial) > 0 {
		fmt.Fprintf(o.stderr, "oriel: warning: no operation of %s is that old; its changes are shown since the oldest\n", strings.Join(set.Partial, ", "))
	}
	if err := o.writeChanges(set, f.format); err != nil {
		return err
	}
	places, err := notCovered(ctx, app.NewCoverer(cfg, db, nil), db, manifest)
	if err != nil {
		return err
	}
	w := o.stdout
	if f.format == "json" {
		w = o.stderr // standard output has one change a line
	}
	for i := range places {
		fmt.Fprintln(w, "Not covered: "+sanitize.Line(places[i].String()))
	}
	return nil
}

// notCovered returns the places that are not covered of a manifest, or of all
// manifests if hash is "".
func notCovered(ctx context.Context, c *match.Coverer, db *store.DB, hash clair.Digest) ([]clair.Place, error) {
	if hash != "" {
		index, err := db.IndexReport(ctx, hash)
		if err != nil {
			return nil, err
		}
		coverage, err := c.Coverage(ctx, index)
		if err != nil {
			return nil, err
		}
		return coverage.NotCovered(), nil
	}
	var counter match.PlaceCounter
	for _, err := range counter.Through(db.InstalledPackages(ctx)) {
		if err != nil {
			return nil, err
		}
	}
	coverage, err := c.Total(ctx, &counter)
	if err != nil {
		return nil, err
	}
	return coverage.NotCovered(), nil
}

// writeChanges writes a line for each change of each manifest.
func (o *oriel) writeChanges(set *clair.ChangeSet, format string) error {
	lines := json.NewEncoder(o.stdout)
	write := func(n clair.Notification) error { return lines.Encode(n) }
	if format == "table" {
		// The widths are fixed because rows are written as they come.
		const line = "%-8s %-20s %-20s %-44s %-24s %s\n"
		fmt.Fprintf(o.stdout, line, "REASON", "SEVERITY", "VULNERABILITY", "PACKAGE", "FIXED IN", "MANIFEST")
		write = func(n clair.Notification) error {
			_, err := fmt.Fprintf(o.stdout, line, n.Reason, severities(n), cmp.Or(n.Vulnerability.Name, "-"),
				n.Vulnerability.Package.Name+" "+n.Version, n.Vulnerability.Fix(), n.Manifest)
			return err
		}
	}
	for i, err := range set.Impacts {
		if err != nil {
			return err
		}
		n, ok := match.Notify(i)
		if !ok {
			continue
		}
		for _, n.Manifest = range i.Manifests {
			if err := write(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// severities returns the severity and, if it has changed, the one before it.
func severities(n clair.Notification) string {
	now := n.Vulnerability.NormalizedSeverity.String()
	if n.Previous != nil && n.Previous.NormalizedSeverity != n.Vulnerability.NormalizedSeverity {
		return n.Previous.NormalizedSeverity.String() + " -> " + now
	}
	return now
}
