package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// alpineSBOM has packages of a release and an ecosystem that no feed of the
// test is about.
const alpineSBOM = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
	{"type":"library","name":"musl","version":"1.2.5-r1","purl":"pkg:apk/alpine/musl@1.2.5-r1?distro=alpine-3.23.0"},
	{"type":"library","name":"left-pad","version":"1.3.0","purl":"pkg:npm/left-pad@1.3.0"},
	{"type":"library","name":"tool","version":"1","purl":"pkg:generic/tool@1"}]}`

// TestReport_Gates runs gates on inputs that are covered and that are not.
func TestReport_Gates(t *testing.T) {
	dir := t.TempDir()
	feed, covered, uncovered := filepath.Join(dir, "all.zip"), filepath.Join(dir, "go.json"), filepath.Join(dir, "alpine.json")
	writeZip(t, feed, 20, 0, 1)
	require.NoError(t, os.WriteFile(covered, []byte(reportSBOM), 0o600))
	require.NoError(t, os.WriteFile(uncovered, []byte(alpineSBOM), 0o600))
	config, _ := writeConfig(t, "osv/Go", feed)
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	for _, c := range []struct {
		name, input string
		args        []string
		code        int
		errs        string // how standard error begins
	}{
		{"no_gate", uncovered, nil, 0, ""},
		{"uncovered", uncovered, []string{"--fail-on", "high"}, exitGate, "Gate: incomplete: not covered: alpine:3.23 (1 package): no-feed and 1 more\n"},
		{"one_allowed", uncovered, []string{"--fail-on", "high", "--allow-incomplete=alpine:*"}, exitGate, "Gate: incomplete: not covered: npm (1 package): no-feed\n"},
		{"both_allowed", uncovered, []string{"--fail-on", "high", "--allow-incomplete=alpine:*,npm"}, 0, ""},
		{"all_allowed", uncovered, []string{"--fail-on", "high", "--allow-incomplete"}, 0, ""},
		{"unmatched", uncovered, []string{"--fail-on", "incomplete", "--allow-incomplete"}, exitGate, "Gate: incomplete: not matched: "},
		{"finding", covered, []string{"--fail-on", "unknown"}, exitGate, "Gate: finding: severity unknown or worse: GO-7 in "},
		{"no_cvss", covered, []string{"--fail-on", "high"}, exitGate, "Gate: incomplete: CVSS data were never fetched, and GO-7 in "},
		{"no_epss", covered, []string{"--fail-on", "epss=0.5"}, exitGate, "Gate: incomplete: EPSS data were never fetched\n"},
		{"no_epss_allowed", covered, []string{"--fail-on", "epss=0.5", "--allow-incomplete"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := runOriel(t, append([]string{"report", c.input, "-c", config}, c.args...)...)
			require.Equal(t, c.code, code, errs)
			require.True(t, strings.HasPrefix(errs, c.errs), errs)
			if c.input == uncovered {
				require.Contains(t, out, "Not covered: alpine:3.23 (1 package): no-feed.")
				require.Contains(t, out, "Not covered: npm (1 package): no-feed.")
				require.Contains(t, out, "0 findings; ")
			}
		})
	}
	t.Run("json", func(t *testing.T) {
		code, out, _ := runOriel(t, "report", uncovered, "-c", config, "-f", "json", "--fail-on", "high,incomplete")
		require.Equal(t, exitGate, code)
		var r struct {
			NotCovered []struct{ Place string } `json:"not_covered"`
			Gate       struct{ Failed []struct{ Gate, Kind string } }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Len(t, r.NotCovered, 2)
		require.Len(t, r.Gate.Failed, 2)
		require.Equal(t, "high", r.Gate.Failed[0].Gate)
	})
	t.Run("configured", func(t *testing.T) {
		text, err := os.ReadFile(config)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(config, append(text, "\n[matcher]\nallow_incomplete = ['alpine:*', 'npm']\n"...), 0o600))
		code, _, errs := runOriel(t, "report", uncovered, "-c", config, "--fail-on", "high")
		require.Zero(t, code, errs)
	})
}
