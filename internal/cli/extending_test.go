package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// The examples of docs/extending.md work: the test adds their files to a copy
// of the source, changes the lines that they change, builds the program and
// runs their commands.
func TestExtending(t *testing.T) {
	doc, err := os.ReadFile("../../docs/extending.md")
	require.NoError(t, err)
	work, source := t.TempDir(), t.TempDir()
	replaced := map[string]string{} // files of the source, by absolute path
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	replace := func(name, text string) {
		path := filepath.Join(source, strings.ReplaceAll(name, "/", "_"))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		replaced[filepath.Join(root, name)] = path
	}
	file := regexp.MustCompile("(?ms)^`([a-z./]+)`:\n\n```[a-z]+\n(.*?)^```")
	for _, m := range file.FindAllStringSubmatch(string(doc), -1) {
		if strings.HasSuffix(m[1], ".go") {
			require.NoFileExists(t, m[1])
			replace(m[1], m[2])
			continue
		}
		require.NoError(t, os.WriteFile(filepath.Join(work, m[1]), []byte(m[2]), 0o600))
	}
	change := regexp.MustCompile("(?m)^```diff\n--- (.*)\n-(.*\n)((?:\\+.*\n)+)```")
	for _, m := range change.FindAllStringSubmatch(string(doc), -1) {
		path := filepath.Join(root, m[1])
		if earlier, ok := replaced[path]; ok {
			path = earlier
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), m[2]), "%s has the line that is changed", m[1])
		added := strings.ReplaceAll("\n"+m[3], "\n+", "\n")[1:]
		replace(m[1], strings.Replace(string(text), m[2], added, 1))
	}
	require.Len(t, replaced, 4, "a file and a line for the feed and for the enricher")

	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(source, "overlay.json"), overlay, 0o600))
	program := filepath.Join(source, "oriel")
	command := func(dir, name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "%s %v: %s", name, args, stderr.String())
		return out
	}
	command(root, "go", "build", "-overlay", filepath.Join(source, "overlay.json"), "-o", program, ".")
	command(work, program, "update")
	var report struct {
		Vulnerabilities map[string]*clair.Vulnerability             `json:"vulnerabilities"`
		Enrichments     map[string][]map[string][]map[string]string `json:"enrichments"`
	}
	out := command(work, program, "report", "--format", "json", "service.cdx.json")
	require.NoError(t, json.Unmarshal(out, &report))
	found := map[string]string{}
	for _, v := range report.Vulnerabilities {
		found[v.Name] = v.ID
	}
	require.Len(t, found, 2)
	require.Contains(t, found, "ACME-2026-1")
	said := report.Enrichments["message/vnd.clair.map.vulnerability; enricher=acme.accepted schema=none"]
	require.Equal(t, []map[string][]map[string]string{{
		found["CVE-2026-0001"]: {{"cve": "CVE-2026-0001", "reason": "not reachable from outside", "until": "2026-12-31"}},
	}}, said)
	for _, want := range []string{`"reason": "not reachable from outside"`, `"until": "2026-12-31"`} {
		require.Contains(t, string(doc), want, "the document shows what comes out")
	}
}
