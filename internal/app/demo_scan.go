package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/client"
	"oriel/match"
	"oriel/scanner"
)

// scanDemo scans the sample through the demonstration's own window, and prints
// whether the findings are those of the server's report.
func (o *demonstration) scanDemo(ctx context.Context, a *App, index *clair.IndexReport, report *match.Result) error {
	c, err := client.New(client.Options{URL: a.URL()})
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := scanner.New(scanner.Options{Server: c}).Scan(ctx, index)
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

// sameFindings reports whether two reports name the same vulnerabilities of the
// same packages.
func sameFindings(a, b *clair.VulnerabilityReport) bool {
	return maps.EqualFunc(a.PackageVulnerabilities, b.PackageVulnerabilities, slices.Equal)
}
