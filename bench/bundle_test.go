package bench

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkBundle runs the real program: it updates from a feed in the OSV
// format, exports it, and imports the bundle into an empty directory twice. Each
// step is a process of its own, so that each has its own peak.
func BenchmarkBundle(b *testing.B) {
	oriel := program(b)
	for _, rows := range sizes(b) {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for range b.N {
				bundleOnce(b, oriel, rows)
			}
		})
	}
}

func bundleOnce(b *testing.B, oriel string, rows int) {
	dir := b.TempDir()
	feed := filepath.Join(dir, "all.zip")
	writeOSV(b, feed, rows)
	config := func(name, feeds string) (string, string) {
		db := filepath.Join(dir, name+".db")
		path := filepath.Join(dir, name+".toml")
		require.NoError(b, os.WriteFile(path, fmt.Appendf(nil, "[store]\npath = '%s'\n[log]\nlevel = 'error'\n%s", db, feeds), 0o600))
		return path, db
	}
	near, nearDB := config("near", fmt.Sprintf("[[feed]]\nname = 'osv'\nformat = 'osv'\nurl = 'file:%s'\n", feed))
	far, _ := config("far", "")
	bundle := filepath.Join(dir, "feeds.bundle")

	update := runProgram(b, oriel, "update", "-c", near)
	require.Contains(b, update.out, fmt.Sprintf("%d added", rows))
	export := runProgram(b, oriel, "export", bundle, "-c", near)
	imported := runProgram(b, oriel, "import", bundle, "-c", far)
	require.Contains(b, imported.out, fmt.Sprintf("%d added", rows))
	again := runProgram(b, oriel, "import", bundle, "-c", far)
	require.Contains(b, again.out, "unchanged")

	info, err := os.Stat(bundle)
	require.NoError(b, err)
	b.ReportMetric(float64(info.Size())/1e6, "bundle-MB")
	b.ReportMetric(100*float64(info.Size())/fileSize(b, nearDB), "bundle-%-of-db")
	for name, p := range map[string]process{"update": update, "export": export, "import": imported, "again": again} {
		b.ReportMetric(p.took.Seconds(), name+"-s")
		b.ReportMetric(p.cpu.Seconds(), name+"-cpu-s")
		b.ReportMetric(p.peak, name+"-peak-MB")
	}
}

// process is the outcome of a process.
type process struct {
	out       string
	took, cpu time.Duration
	peak      float64 // resident set, in MB of 2^20 bytes
}

func runProgram(b *testing.B, oriel string, args ...string) process {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), oriel, args...)
	cmd.Env = []string{} // ORIEL_BENCH_ROWS is not a key of the configuration
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	require.NoError(b, cmd.Start())
	ended, peak := make(chan struct{}), make(chan float64)
	go func() { peak <- watchPeak(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	p := process{out: out.String(), took: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: <-peak}
	require.NoError(b, err, "%v: %s", args, &errs)
	return p
}

// watchPeak returns the peak of a process shortly before it ended, in MB. The
// kernel's figure afterwards is at least that of the parent process.
func watchPeak(pid int, ended <-chan struct{}) (peak float64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // the process has just ended
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
				if kb, err := strconv.ParseFloat(f[1], 64); err == nil {
					peak = kb / 1024
				}
			}
		}
	}
}

// writeOSV writes the rows of the synthetic feed as a zip file of OSV records.
func writeOSV(b *testing.B, path string, rows int) {
	b.Helper()
	f, err := os.Create(path)
	require.NoError(b, err)
	w := bufio.NewWriterSize(f, 1<<20)
	z := zip.NewWriter(w)
	type m = map[string]any
	for v := range (rowSource{rows: rows, packages: 20000}).all() {
		var links []m
		for l := range strings.FieldsSeq(v.Links) {
			links = append(links, m{"type": "WEB", "url": l})
		}
		text, err := json.Marshal(m{
			"id": v.Name, "modified": "2024-01-01T00:00:00Z", "published": v.Issued, "details": v.Description, "references": links,
			"severity": []m{{"type": "CVSS_V3", "score": v.Severity}},
			"affected": []m{{
				"package": m{"ecosystem": "Debian:" + v.Dist.VersionID, "name": v.Package.Name},
				"ranges":  []m{{"type": "ECOSYSTEM", "events": []m{{"introduced": "0"}, {"fixed": v.FixedInVersion}}}},
			}},
		})
		require.NoError(b, err)
		e, err := z.Create(v.Name + ".json")
		require.NoError(b, err)
		_, err = e.Write(text)
		require.NoError(b, err)
	}
	require.NoError(b, z.Close())
	require.NoError(b, w.Flush())
	require.NoError(b, f.Close())
}
