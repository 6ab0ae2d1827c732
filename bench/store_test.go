package bench

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/storetest"
)

// sizes are the feeds to measure, in rows.
func sizes(b *testing.B) []int {
	b.Helper()
	list := os.Getenv("ORIEL_BENCH_ROWS")
	if list == "" {
		list = "100000,500000"
	}
	var out []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		require.NoError(b, err)
		out = append(out, n)
	}
	return out
}

func open(b *testing.B, path string) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), path, store.Options{Schema: storetest.Schema(b)})
	require.NoError(b, err)
	return db
}

// peakRSS returns the largest resident set of this process so far, in bytes,
// and resets it if the kernel allows that.
func peakRSS(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			require.NoError(b, err)
			_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
			return kb / 1024
		}
	}
	return 0
}

// fileSize returns the size of the database file after a checkpoint.
func fileSize(b *testing.B, path string) float64 {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(b, err)
	_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(b, err)
	require.NoError(b, db.Close())
	info, err := os.Stat(path)
	require.NoError(b, err)
	return float64(info.Size())
}

// otherWriter makes small writes until it is stopped, and returns the time that
// each took, sorted.
func otherWriter(ctx context.Context, db *store.DB) (stop func() []time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	var waits []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			start := time.Now()
			err := db.SetUpdateStatus(ctx, clair.UpdateStatus{Updater: "other", LastAttempt: start})
			if err == nil {
				waits = append(waits, time.Since(start))
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	return func() []time.Duration {
		cancel()
		wg.Wait()
		slices.Sort(waits)
		return waits
	}
}

func at(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(float64(len(sorted))*share), len(sorted)-1)].Microseconds()) / 1000
}

// BenchmarkStore imports a feed, then its next version with 1% changed rows, and
// streams the difference.
func BenchmarkStore(b *testing.B) {
	for _, rows := range sizes(b) {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for range b.N {
				storeOnce(b, rows)
			}
		})
	}
}

func storeOnce(b *testing.B, rows int) {
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "oriel.db")
	db := open(b, path)
	defer db.Close()
	peakRSS(b)

	stop := otherWriter(ctx, db)
	start := time.Now()
	first, err := db.UpdateVulnerabilities(ctx, "bench", "1", rowSource{rows: rows, packages: 20000}.all())
	require.NoError(b, err)
	took := time.Since(start)
	waits := stop()
	require.EqualValues(b, rows, first.Added)
	b.ReportMetric(float64(rows)/took.Seconds(), "first-rows/s")
	b.ReportMetric(at(waits, .5), "wait-p50-ms")
	b.ReportMetric(at(waits, .99), "wait-p99-ms")
	b.ReportMetric(at(waits, 1), "wait-max-ms")
	b.ReportMetric(peakRSS(b), "first-peak-MB")
	size := fileSize(b, path)
	b.ReportMetric(size/1e6, "db-MB")

	start = time.Now()
	second, err := db.UpdateVulnerabilities(ctx, "bench", "2", rowSource{rows: rows, packages: 20000, change: .01}.all())
	require.NoError(b, err)
	b.ReportMetric(time.Since(start).Seconds(), "second-s")
	b.ReportMetric(peakRSS(b), "second-peak-MB")
	b.ReportMetric(float64(second.Added), "changed")
	b.ReportMetric((fileSize(b, path)/size-1)*100, "growth-%")

	diffOnce(b, db, first, second)
	deltaOnce(b, db, second, rows)
}

// deltaOnce replaces the rows of 100 advisories, spread over the feed, a few
// times, and reports the median time.
func deltaOnce(b *testing.B, db *store.DB, base clair.UpdateResult, rows int) {
	var took []float64
	for round := range 9 {
		changes := func(yield func(clair.Change, error) bool) {
			i := 0
			for v := range (rowSource{rows: rows, packages: 20000, change: .01}).all() {
				if i++; i%(rows/100) != 0 {
					continue
				}
				v.Description = fmt.Sprint(v.Description, round)
				if !yield(clair.Change{Replaced: v.Name}, nil) || !yield(clair.Change{Added: v}, nil) {
					return
				}
			}
		}
		var all []clair.Change // prepared, since generating the feed takes longer
		for c := range changes {
			all = append(all, c)
		}
		start := time.Now()
		next, err := db.UpdateVulnerabilitiesDelta(b.Context(), base.UpdateOperation, "d", func(yield func(clair.Change, error) bool) {
			for _, c := range all {
				if !yield(c, nil) {
					return
				}
			}
		})
		require.NoError(b, err)
		took = append(took, float64(time.Since(start).Microseconds())/1000)
		require.EqualValues(b, 100, next.Added)
		require.EqualValues(b, 100, next.Removed)
		require.EqualValues(b, rows-100, next.Unchanged)
		base = next
	}
	b.ReportMetric(took[0], "delta-cold-ms")
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "delta-ms")
}

// diffOnce streams the difference a few times and reports the median time.
func diffOnce(b *testing.B, db *store.DB, first, second clair.UpdateResult) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the daemon does
	var firsts, rates []float64
	for range 40 {
		ms, rate := streamDiff(b, db, first, second)
		firsts, rates = append(firsts, ms), append(rates, rate)
	}
	b.ReportMetric(firsts[0], "diff-first-cold-ms")
	b.ReportMetric(rates[0], "diff-cold-rows/s")
	slices.Sort(firsts)
	slices.Sort(rates)
	b.ReportMetric(firsts[len(firsts)/2], "diff-first-ms")
	b.ReportMetric(rates[len(rates)/2], "diff-rows/s")
}

func streamDiff(b *testing.B, db *store.DB, first, second clair.UpdateResult) (firstMS, rowsPerSecond float64) {
	start := time.Now()
	d, err := db.GetUpdateDiff(b.Context(), first.Ref, second.Ref)
	require.NoError(b, err)
	defer d.Close()
	n := int64(0)
	for _, rows := range []iter.Seq2[*clair.Vulnerability, error]{d.Added, d.Removed} {
		for _, err := range rows {
			require.NoError(b, err)
			if n++; n == 1 {
				firstMS = float64(time.Since(start).Microseconds()) / 1000
			}
		}
	}
	require.Equal(b, second.Added+second.Removed, n)
	return firstMS, float64(n) / time.Since(start).Seconds()
}

// BenchmarkBare is the reference for the others on the same machine: it inserts
// rows of 20 columns with one index by a prepared statement in a single
// transaction.
func BenchmarkBare(b *testing.B) {
	const rows = 100_000
	for range b.N {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
		require.NoError(b, err)
		db.SetMaxOpenConns(1)
		names := make([]string, 20)
		for i := range names {
			names[i] = fmt.Sprintf("c%d", i)
		}
		_, err = db.Exec("CREATE TABLE bare (" + strings.Join(names, ", ") + "); CREATE INDEX bare_c0 ON bare (c0)")
		require.NoError(b, err)
		start := time.Now()
		tx, err := db.Begin()
		require.NoError(b, err)
		stmt, err := tx.Prepare("INSERT INTO bare VALUES (?" + strings.Repeat(", ?", 19) + ")")
		require.NoError(b, err)
		args := make([]any, 20)
		for i := range args {
			args[i] = "a text of some length"
		}
		for i := range rows {
			args[0] = packageName(i % 20000)
			_, err := stmt.Exec(args...)
			require.NoError(b, err)
		}
		require.NoError(b, tx.Commit())
		b.ReportMetric(rows/time.Since(start).Seconds(), "bare-rows/s")
		require.NoError(b, db.Close())
	}
}
