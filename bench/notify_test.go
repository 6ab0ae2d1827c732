package bench

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/notify"
	"oriel/store"
)

// notifyDB is the variable with the path of the database for the second process
// of BenchmarkNotify.
const notifyDB = "ORIEL_BENCH_NOTIFY_DB"

// BenchmarkNotify changes 5,000 of 100,000 vulnerabilities over 10,000
// manifests of 300 packages. It reports the time until the notification is
// complete, and the memory of the process that plans it, which does nothing
// else.
func BenchmarkNotify(b *testing.B) {
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "oriel.db")
	db := open(b, path)
	manifests := 10_000
	if s := os.Getenv("ORIEL_BENCH_MANIFESTS"); s != "" {
		var err error
		manifests, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	for i := range manifests {
		_, err := db.PutIndexReport(ctx, manifest(i))
		require.NoError(b, err)
	}
	first := update(b, db, 0)
	_, ok, err := db.NextOperation(ctx) // marks the first
	require.NoError(b, err)
	require.False(b, ok)
	second := update(b, db, 5000)
	require.EqualValues(b, 5000, second.Added, "of %d", first.Added)
	require.NoError(b, db.Close())

	for _, summary := range []bool{true, false} {
		b.Run(fmt.Sprintf("summary=%v", summary), func(b *testing.B) {
			for range b.N {
				copied := filepath.Join(b.TempDir(), "oriel.db")
				text, err := os.ReadFile(path)
				require.NoError(b, err)
				require.NoError(b, os.WriteFile(copied, text, 0o600))
				cmd := exec.Command(os.Args[0], "-test.run", "^TestNotifyProcess$", "-test.v")
				cmd.Env = append(os.Environ(), notifyDB+"="+copied, fmt.Sprintf("SUMMARY=%v", summary), "GOMEMLIMIT=64MiB")
				out, err := cmd.CombinedOutput()
				require.NoError(b, err, string(out))
				for line := range strings.Lines(string(out)) {
					if f := strings.Fields(line); len(f) == 3 && f[0] == "metric" {
						value, err := strconv.ParseFloat(f[2], 64)
						require.NoError(b, err)
						b.ReportMetric(value, f[1])
					}
				}
			}
		})
	}
}

// update makes an operation of 100,000 vulnerabilities, of which the first have
// another fixed version than before.
func update(b *testing.B, db *store.DB, changed int) clair.UpdateResult {
	b.Helper()
	var all iter.Seq2[*clair.Vulnerability, error] = func(yield func(*clair.Vulnerability, error) bool) {
		for i, v := range advisories(100_000) {
			v.NormalizedSeverity = clair.Severity(i % 6)
			if i%20 == 0 && i/20 < changed {
				v.FixedInVersion = fmt.Sprintf("%c.0-1", '2'+(v.FixedInVersion[0]-'2'+1+byte(i/20)%3)%4)
			}
			if !yield(v, nil) {
				return
			}
		}
	}
	res, err := db.UpdateVulnerabilities(b.Context(), "bench", clair.Fingerprint(strconv.Itoa(changed)), all)
	require.NoError(b, err)
	return res
}

// TestNotifyProcess is the second process of BenchmarkNotify.
func TestNotifyProcess(t *testing.T) {
	path := os.Getenv(notifyDB)
	if path == "" {
		t.Skip("runs as a process of BenchmarkNotify")
	}
	db, err := store.Open(t.Context(), path, store.Options{})
	require.NoError(t, err)
	defer db.Close()
	cfg := notify.Default()
	cfg.Summary = os.Getenv("SUMMARY") == "true"
	n, err := notify.New(cfg, notify.Options{Store: db, Completed: db.Completed(), Callback: "http://127.0.0.1:1/"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	var sets []clair.NotificationSet
	for len(sets) == 0 {
		time.Sleep(5 * time.Millisecond)
		sets, err = db.Notifications(ctx, [16]byte{}, 10)
		require.NoError(t, err)
	}
	fmt.Printf("metric complete-s %v\n", time.Since(start).Seconds())
	fmt.Printf("metric rows %v\n", sets[0].Rows)
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	fmt.Printf("metric cpu-s %v\n", time.Duration(used.Utime.Nano()+used.Stime.Nano()).Seconds())
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			require.NoError(t, err)
			fmt.Printf("metric peak-MB %v\n", kb/1024)
		}
	}
	cancel()
	require.NoError(t, <-done)
}
