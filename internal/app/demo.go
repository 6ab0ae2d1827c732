package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/feed"
	"oriel/match"
	"oriel/notify"
)

// demonstration is a run of Demo.
type demonstration struct {
	assets Assets
	stdout io.Writer
}

// Demo serves the sample data from a temporary database, prints a finding and
// how to see the rest, and runs until the context ends. The sample is the
// index report of an imagined image and a few feeds: its advisories are true
// facts in our own words, the scores are FIRST's (EPSS) and NVD's (CVSS), and
// the entry of known exploitation is from CISA's catalog.
func Demo(ctx context.Context, assets Assets, stdout, stderr io.Writer) (err error) {
	o := &demonstration{assets: assets, stdout: stdout}
	dir, err := os.MkdirTemp("", "oriel-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := fs.Sub(assets.Demo, "demo")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	cfg := defaultConfig()
	cfg.Listen = freeAddress(ctx, cfg.Listen)
	cfg.Store.Path = filepath.Join(dir, "oriel.db")
	cfg.Updater.AtStart = false // the demonstration waits for its own run
	receiver, err := newDemoReceiver(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.close()) }()
	cfg.Notify.Webhooks = []notify.Webhook{receiver.webhook()}
	for _, f := range []struct{ format, path string }{
		{"osv", "osv"}, {"nvd", "enrich/nvd.json"}, {"epss", "enrich/epss.csv"}, {"kev", "enrich/known_exploited_vulnerabilities.json"},
	} {
		cfg.Feeds = append(cfg.Feeds, feed.Feed{
			Name:    "demo/" + f.format,
			Format:  f.format,
			URL:     filepath.Join(dir, f.path),
			Enabled: true,
		})
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return Serve(ctx, &cfg, assets, log, func(ctx context.Context, a *App) error { return o.showDemo(ctx, a, dir, receiver) })
}

// freeAddress returns the address itself, or one with a free port if the port
// is taken.
func freeAddress(ctx context.Context, address string) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "127.0.0.1:0"
	}
	if l.Close() != nil {
		return "127.0.0.1:0"
	}
	return address
}

// showDemo imports the feeds, indexes the sample and prints the result.
func (o *demonstration) showDemo(ctx context.Context, a *App, dir string, receiver *demoReceiver) error {
	results, err := a.updates.Update(ctx)
	if err != nil {
		return err
	}
	for _, r := range results {
		for _, op := range r.Operations {
			what := "vulnerabilities"
			if op.Kind == clair.KindEnrichment {
				what = "enrichments"
			}
			fmt.Fprintf(o.stdout, "feed %s imported: %d %s, update operation %s\n", r.Updater, op.Added, what, op.Ref)
		}
	}
	report, err := sampleReport(o.assets)
	if err != nil {
		return err
	}
	if _, err := a.db.PutIndexReport(ctx, report); err != nil {
		return err
	}
	res, err := a.matcher.Report(ctx, report)
	if err != nil {
		return err
	}
	o.printFinding(res)
	if err := o.scanDemo(ctx, a, report, res); err != nil {
		return err
	}
	if err := o.showNotification(ctx, a, dir, receiver); err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "\nserving on %s, until Ctrl-C; the whole report:\n\n    curl -s %s/matcher/api/v1/vulnerability_report/%s\n\n", a.URL(), a.URL(), report.Hash)
	return nil
}

// printFinding prints the most urgent finding of a report.
func (o *demonstration) printFinding(res *match.Result) {
	r := res.Report
	findings := 0
	for _, ids := range r.PackageVulnerabilities {
		findings += len(ids)
	}
	fmt.Fprintf(o.stdout, "manifest %s: %d packages, %d findings\n", r.Hash, len(r.Packages), findings)
	if findings == 0 {
		return
	}
	worst := slices.MaxFunc(slices.Collect(maps.Values(r.Vulnerabilities)), func(a, b *clair.Vulnerability) int {
		return cmp.Or(res.Priority[a.ID].Compare(res.Priority[b.ID]), cmp.Compare(b.Name, a.Name))
	})
	for id, ids := range r.PackageVulnerabilities {
		if slices.Contains(ids, worst.ID) {
			why := res.Why[id][worst.ID]
			fmt.Fprintf(o.stdout, "  %s %s %s: %s\n  affected: %s\n", worst.NormalizedSeverity, worst.Name, why.Package+" "+why.Version, worst.Description, why.Affected)
			p := res.Priority[worst.ID]
			fmt.Fprintf(o.stdout, "  priority: %v (%s)\n", p.Level, strings.Join(p.Reasons, ", "))
		}
	}
}

// sampleReport is the index report of the demonstration.
func sampleReport(assets Assets) (*clair.IndexReport, error) {
	text, err := fs.ReadFile(assets.Demo, "demo/index_report.json")
	if err != nil {
		return nil, err
	}
	r := &clair.IndexReport{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the sample index report: %w", err)
	}
	return r, index.Ready(r, r.Hash)
}
