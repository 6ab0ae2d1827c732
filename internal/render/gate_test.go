package render_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/render"
)

// TestGates_Findings evaluates gates on a complete report.
func TestGates_Findings(t *testing.T) {
	const log4j = "GHSA-jfh8-c2jp-5v3q in org.apache.logging.log4j:log4j-core 2.14.1"
	for _, c := range []struct {
		list string
		want []string
	}{
		{"", nil},
		{"Critical", []string{"Gate: finding: severity critical or worse: " + log4j + " and 1 more"}},
		{"unknown", []string{"Gate: finding: severity unknown or worse: " + log4j + " and 7 more"}},
		{"KEV", []string{"Gate: finding: known to be exploited: " + log4j}},
		{"epss=0.5", []string{"Gate: finding: EPSS 0.5 or more: " + log4j + " and 1 more"}},
		{"epss=0.99", nil},
		{"cvss=9.5", []string{"Gate: finding: CVSS 9.5 or more: " + log4j}},
		{"urgent", []string{"Gate: finding: priority urgent: " + log4j + " and 1 more"}},
		{"incomplete", nil},
		{" epss=0.99 , kev,critical", []string{"Gate: finding: known to be exploited: " + log4j, "Gate: finding: severity critical or worse: " + log4j + " and 1 more"}},
	} {
		t.Run(c.list, func(t *testing.T) {
			in := sample()
			in.Coverage, in.NeverFetched, in.Unmatched, in.Incomparable, in.Gates = nil, nil, nil, nil, gates(c.list)
			require.Equal(t, c.want, failures(render.New(in, render.Filter{})))
			in.Report = &clair.VulnerabilityReport{}
			require.Empty(t, failures(render.New(in, render.Filter{})))
		})
	}
}

func failures(r *render.Report) []string {
	var out []string
	for _, f := range r.Failed {
		out = append(out, f.String())
	}
	return out
}

// TestGates_Incomplete evaluates gates on a report without findings.
func TestGates_Incomplete(t *testing.T) {
	alpine := clair.Place{Name: "alpine:3.23", Packages: 12, Reason: clair.NoFeed, Hint: "Enable alpine."}
	npm := clair.Place{Name: "npm", Packages: 1, Reason: clair.NeverFetched}
	covered := clair.Place{Name: "debian:12", Packages: 3, Covered: true}
	ended := clair.Place{Name: "debian:9", Packages: 3, Covered: true, Ended: "2022-06-30"}
	unmatched := []clair.Unmatched{{Package: "tool", Version: "1", Reason: "a generic package"}, {Package: "other", Reason: "no version"}}
	incomparable := []render.Incomparable{{Package: "a/b", Version: "dev-master", Advisories: []string{"GHSA-1"}, Reason: "not a version"}}
	const alpineText = "not covered: alpine:3.23 (12 packages): no-feed"
	for _, c := range []struct {
		name, list string
		allow      []string
		in         render.Input
		want       []string
	}{
		{"no_gate", "", nil, render.Input{Coverage: coverage(alpine)}, nil},
		{"covered", "high", nil, render.Input{Coverage: coverage(covered)}, nil},
		{"ended_is_covered", "high,incomplete", nil, render.Input{Coverage: coverage(ended)}, nil},
		{"place", "high", nil, render.Input{Coverage: coverage(alpine, covered)}, []string{"Gate: incomplete: " + alpineText}},
		{"places", "kev", nil, render.Input{Coverage: coverage(alpine, npm)}, []string{"Gate: incomplete: " + alpineText + " and 1 more"}},
		{"explicit", "incomplete", nil, render.Input{Coverage: coverage(npm)}, []string{"Gate: incomplete: not covered: npm (1 package): never-fetched"}},
		{"allowed_place", "high", []string{"alpine:*"}, render.Input{Coverage: coverage(alpine)}, nil},
		{"other_allowed_place", "high", []string{"alpine:*"}, render.Input{Coverage: coverage(alpine, npm)}, []string{"Gate: incomplete: not covered: npm (1 package): never-fetched"}},
		{"allowed_all", "high,epss=0.5", []string{render.AllowAll}, render.Input{Coverage: coverage(alpine, npm), NeverFetched: []string{"epss"}}, nil},
		{"unmatched_alone", "high", nil, render.Input{Unmatched: unmatched}, nil},
		{"unmatched_explicit", "incomplete", nil, render.Input{Unmatched: unmatched}, []string{"Gate: incomplete: not matched: tool 1: a generic package and 1 more"}},
		{"incomparable_alone", "high", nil, render.Input{Incomparable: incomparable}, nil},
		{"incomparable_explicit", "incomplete", nil, render.Input{Incomparable: incomparable}, []string{"Gate: incomplete: not compared: a/b dev-master: GHSA-1 (not a version)"}},
		{"epss_never_fetched", "epss=0.5", nil, render.Input{NeverFetched: []string{"epss"}}, []string{"Gate: incomplete: EPSS data were never fetched"}},
		{"kev_never_fetched", "kev", nil, render.Input{NeverFetched: []string{"kev"}}, []string{"Gate: incomplete: KEV data were never fetched"}},
		{"cvss_never_fetched", "cvss=7", nil, render.Input{NeverFetched: []string{"cvss"}}, []string{"Gate: incomplete: CVSS data were never fetched"}},
		{"urgent_needs_kev_and_epss", "urgent", nil, render.Input{NeverFetched: []string{"epss"}}, []string{"Gate: incomplete: EPSS data were never fetched"}},
		{"other_data", "high", nil, render.Input{NeverFetched: []string{"epss", "kev", "cvss"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Report, c.in.Gates = &clair.VulnerabilityReport{}, gates(c.list, c.allow...)
			require.Equal(t, c.want, failures(render.New(c.in, render.Filter{})))
		})
	}
}

func coverage(places ...clair.Place) *clair.Coverage { return &clair.Coverage{Places: places} }

// TestGates_UnknownSeverity has a finding without a severity, which only a CVSS
// score can judge, whether it is filtered out or not.
func TestGates_UnknownSeverity(t *testing.T) {
	in := sample()
	in.Coverage, in.Unmatched, in.Incomparable = nil, nil, nil
	in.Report.PackageVulnerabilities = map[string][]string{"4": {"14"}}
	for _, c := range []struct {
		name, list string
		never      []string
		filter     render.Filter
		want       []string
	}{
		{"fetched", "high", nil, render.Filter{}, nil},
		{"never_fetched", "high", []string{"cvss"}, render.Filter{}, []string{"Gate: incomplete: CVSS data were never fetched, and GO-2024-2687 in golang.org/x/net has no severity"}},
		{"filtered_out", "high", []string{"cvss"}, render.Filter{MinSeverity: clair.High}, []string{"Gate: incomplete: CVSS data were never fetched, and GO-2024-2687 in golang.org/x/net has no severity"}},
		{"any_severity", "unknown", []string{"cvss"}, render.Filter{}, []string{"Gate: finding: severity unknown or worse: GO-2024-2687 in golang.org/x/net v0.17.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in.NeverFetched, in.Gates = c.never, gates(c.list)
			require.Equal(t, c.want, failures(render.New(in, c.filter)))
		})
	}
}

func TestParseGates_Invalid(t *testing.T) {
	for _, bad := range []string{"severe", "epss", "epss=", "epss=0", "epss=1.1", "epss=NaN", "epss=-1", "kev=1", "cvss=11", "cvss=", "high,", ",high", "high,,kev", "incomplete=1"} {
		t.Run(bad, func(t *testing.T) {
			_, err := render.ParseGates(bad, nil)
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
	t.Run("pattern", func(t *testing.T) {
		_, err := render.ParseGates("", []string{"alpine:["})
		require.ErrorIs(t, err, clair.ErrInvalid)
	})
}

func TestGates_Enrichers(t *testing.T) {
	require.Equal(t, []string{"kev", "epss", "cvss"}, gates("high,urgent,epss=0.1,cvss=5,kev,incomplete").Enrichers())
	require.Empty(t, gates("high,incomplete").Enrichers())
}
