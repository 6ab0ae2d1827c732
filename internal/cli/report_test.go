package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const reportSBOM = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
	{"type":"library","name":"p7","version":"v1.2.0","purl":"pkg:golang/example.test/p7@v1.2.0"},
	{"type":"library","name":"p8","version":"v9999.0.0","purl":"pkg:golang/example.test/p8@v9999.0.0"},
	{"type":"library","name":"nameless"}]}`

func TestReport(t *testing.T) {
	dir := t.TempDir()
	feed, sbom := filepath.Join(dir, "all.zip"), filepath.Join(dir, "sbom.json")
	writeZip(t, feed, 20, 0, 1)
	require.NoError(t, os.WriteFile(sbom, []byte(reportSBOM), 0o600))
	config, _ := writeConfig(t, "osv/Go", feed)
	code, _, errs := runOriel(t, "report", sbom, "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `run "oriel update" first`, "without data nothing looks clean")
	code, _, _ = runOriel(t, "update", "-c", config)
	require.Zero(t, code)

	code, out, _ := runOriel(t, "report", sbom, "-c", config, "--why")
	require.Zero(t, code)
	require.Contains(t, out, "GO-7")
	require.NotContains(t, out, "GO-8")
	require.Contains(t, out, "affected before 1.7.0")
	require.Contains(t, out, "osv/Go, operation ")
	code, out, errs = runOriel(t, "report", sbom, "-c", config, "-f", "json", "--fail-on", "unknown")
	require.Equal(t, exitGate, code)
	require.Contains(t, errs, "GO-7")
	var r struct {
		Vulnerabilities map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Vulnerabilities, 1)
	for _, format := range []string{"sarif", "cyclonedx", "csv", "html"} {
		file := filepath.Join(dir, "out."+format)
		code, _, errs = runOriel(t, "report", sbom, "-c", config, "-f", format, "-o", file)
		require.Zero(t, code, errs)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "GO-7", format)
	}
	for _, args := range [][]string{{"-f", "pdf"}, {"-f", "json", "--why"}, {"--fail-on", "often"}, {"--min-severity", "bad"}, {"--distro", "nosuch:1"}} {
		code, _, errs = runOriel(t, append([]string{"report", sbom, "-c", config}, args...)...)
		require.Equal(t, exitUsage, code)
		require.NotEmpty(t, errs)
	}
	for _, input := range []string{sbom + ".missing", feed, "sha256:" + strings.Repeat("a", 64)} {
		code, _, errs = runOriel(t, "report", input, "-c", config)
		require.Equal(t, exitFailed, code, input)
		require.NotEmpty(t, errs)
	}
}
