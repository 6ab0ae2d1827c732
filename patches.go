package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/match"
	"oriel/scanner"
	"oriel/server/patches"
	"oriel/store"
)

// snapshots hands the store's snapshots to the window's driver.
type snapshots struct{ db *store.DB }

// Snapshot takes one.
func (s snapshots) Snapshot(ctx context.Context) (patches.Snapshot, error) {
	snap, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// scanDemo scans the sample through the demonstration's own window, and says
// whether that finds what the server's report did.
func (o *oriel) scanDemo(ctx context.Context, a *app, index *clair.IndexReport, report *match.Result) error {
	s, err := scanner.New(scanner.Options{Server: a.url})
	if err != nil {
		return err
	}
	res, err := s.Scan(ctx, index)
	if err != nil {
		return err
	}
	verdict := "the same findings"
	if !sameFindings(report.Report, res.Report) {
		verdict = "other findings than the report's"
	}
	fmt.Fprintf(o.stdout, "\nscanned through the window: read the whole lists of %s, %d rows; %s, matched by the scanner\n",
		strings.Join(res.Platforms, ", "), res.Rows, verdict)
	return nil
}

// sameFindings says whether two reports name the same vulnerabilities of the
// same packages.
func sameFindings(a, b *clair.VulnerabilityReport) bool {
	return maps.EqualFunc(a.PackageVulnerabilities, b.PackageVulnerabilities, slices.Equal)
}
