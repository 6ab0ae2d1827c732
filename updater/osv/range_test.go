package osv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/internal/corpus"
	"oriel/internal/version"
)

// TestCompareNumbers holds the short way of comparing against the native
// tools' answers.
func TestCompareNumbers(t *testing.T) {
	for _, c := range [][2]string{{"1.0", "1.0.0"}, {"1", "1"}, {"1.01", "1.1"}, {"1.1a", "1.2"}, {"1.1", "1.2-rc"}, {"", "1"}, {"1..2", "1.2"}, {"1.2", "1.3."}, {"99999999999999999999", "1"}} {
		_, ok := compareNumbers(c[0], c[1])
		require.False(t, ok, c)
	}
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t), "versions", "*__*.txt"))
	require.NoError(t, err)
	short := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if order, ok := compareNumbers(f[0], f[2]); ok {
				short++
				require.Equal(t, f[1], "<=>"[order+1:order+2], "%s: %s", filepath.Base(file), line)
			}
		}
	}
	t.Logf("%d comparisons went the short way", short)
	require.Positive(t, short)
}

func TestOSV_Bounds(t *testing.T) {
	ev := func(events ...string) string {
		return `{"type":"ECOSYSTEM","events":[` + strings.Join(events, ",") + `]}`
	}
	intro := func(v string) string { return `{"introduced":"` + v + `"}` }
	fix := func(v string) string { return `{"fixed":"` + v + `"}` }
	last := func(v string) string { return `{"last_affected":"` + v + `"}` }
	limit := func(v string) string { return `{"limit":"` + v + `"}` }
	for name, c := range map[string]struct {
		ecosystem, ranges, versions string
		want                        []string
	}{
		"all":                       {"npm", ev(intro("0")), ``, []string{""}},
		"open":                      {"npm", ev(intro("1.0.0")), ``, []string{"introduced=1.0.0"}},
		"last_affected":             {"npm", ev(intro("1.0.0"), last("1.5.0")), ``, []string{"introduced=1.0.0&lastAffected=1.5.0"}},
		"one_version":               {"npm", ev(last("1.0.0"), intro("1.0.0")), ``, []string{"introduced=1.0.0&lastAffected=1.0.0"}},
		"two_intervals_unsorted":    {"npm", ev(fix("2.3.0"), intro("2.0.0"), fix("1.10.0"), intro("1.9.0")), ``, []string{"fixed=1.10.0&introduced=1.9.0", "fixed=2.3.0&introduced=2.0.0"}},
		"reversed":                  {"npm", ev(fix("2.3.0"), intro("0")), ``, []string{"fixed=2.3.0"}},
		"fixed_then_broken_again":   {"npm", ev(intro("0"), fix("1.0.0"), intro("1.0.0"), fix("1.1.0")), ``, []string{"fixed=1.0.0", "fixed=1.1.0&introduced=1.0.0"}},
		"broken_again_named_before": {"npm", ev(intro("1.0.0"), fix("1.1.0"), intro("0"), fix("1.0.0")), ``, []string{"fixed=1.0.0", "fixed=1.1.0&introduced=1.0.0"}},
		"nothing_between":           {"npm", ev(intro("1.0.0"), fix("1.0.0")), ``, nil},
		"introduced_twice":          {"npm", ev(intro("0"), intro("1.0.0"), fix("1.1.0")), ``, []string{"fixed=1.1.0"}},
		"several_fields_an_event":   {"npm", ev(`{"introduced":"1.0.0","fixed":"1.2.0"}`), ``, []string{"fixed=1.2.0&introduced=1.0.0"}},
		"limit":                     {"npm", ev(intro("1.0.0"), limit("2.0.0")), ``, []string{"introduced=1.0.0&limit=2.0.0"}},
		"limit_after_fix":           {"npm", ev(intro("1.0.0"), fix("1.5.0"), limit("2.0.0")), ``, []string{"fixed=1.5.0&introduced=1.0.0"}},
		"limit_before_fix":          {"npm", ev(intro("1.0.0"), fix("2.5.0"), limit("2.0.0")), ``, []string{"introduced=1.0.0&limit=2.0.0"}},
		"limit_before_all":          {"npm", ev(intro("3.0.0"), limit("2.0.0")), ``, nil},
		"greatest_limit":            {"npm", ev(intro("1.0.0"), limit("2.0.0"), limit("3.0.0")), ``, []string{"introduced=1.0.0&limit=3.0.0"}},
		"no_limit":                  {"npm", ev(intro("1.0.0"), limit("*")), ``, []string{"introduced=1.0.0"}},
		"same_interval_twice":       {"npm", ev(intro("0"), fix("1.0.0")) + "," + ev(intro("0"), fix("1.0.0")), ``, []string{"fixed=1.0.0"}},
		"order_cannot_be_told":      {"npm", ev(intro("1.0.0"), fix("latest"), intro("2.0.0"), fix("2.1.0")), ``, []string{"fixed=latest&introduced=1.0.0", "fixed=2.1.0&introduced=2.0.0"}},
		"only_versions":             {"npm", ``, `"1.2.0","1.1.0","1.1.0"`, []string{"versions=1.1.0%2C1.2.0"}},
		"versions_covered":          {"PyPI", ev(intro("0"), fix("1.10")), `"1.0","1.9","1.10rc1"`, []string{"fixed=1.10"}},
		"versions_beyond":           {"PyPI", ev(intro("0"), fix("1.10")), `"1.0","1.10","1.10.post1"`, []string{"fixed=1.10", "versions=1.10%2C1.10.post1"}},
		"versions_after_last":       {"PyPI", ev(intro("1.0"), last("1.2")), `"0.9","1.2.0","1.2.1"`, []string{"introduced=1.0&lastAffected=1.2", "versions=0.9%2C1.2.1"}},
		"version_that_is_no_number": {"PyPI", ev(intro("1.0")), `"1.1","what?"`, []string{"introduced=1.0", "versions=what%3F"}},
		"version_with_a_comma":      {"npm", ``, `"1.0.0","1,1"`, []string{"introduced=1%2C1&lastAffected=1%2C1", "versions=1.0.0"}},
		"commits_and_versions":      {"npm", `{"type":"GIT","events":[{"introduced":"0"}]}`, `"1.0.0"`, []string{"versions=1.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := parseText(t, fmt.Appendf(nil, `{"id":"X","affected":[{"package":{"ecosystem":%q,"name":"a"},"ranges":[%s],"versions":[%s]}]}`, c.ecosystem, c.ranges, c.versions))
			require.NoError(t, p.Err)
			require.Empty(t, p.Skipped)
			var got []string
			for _, v := range p.Rows {
				got = append(got, v.FixedInVersion)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func FuzzCompareNumbers(f *testing.F) {
	f.Add("1.2.3", "1.10")
	f.Fuzz(func(t *testing.T, a, b string) {
		order, ok := compareNumbers(a, b)
		if !ok || len(a) > 40 || len(b) > 40 {
			return
		}
		for _, s := range []version.Scheme{version.Debian, version.RPM, "pypi", "maven", "rubygems"} {
			if want, err := version.Compare(s, a, b); err == nil && want != order {
				t.Fatalf("%s: %s and %s: %d, want %d", s, a, b, order, want)
			}
		}
	})
}
