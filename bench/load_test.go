package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkLoad puts all kinds of load at once on a real daemon with a limit of
// 128 MiB: until a feed in the OSV format is imported, a thousand scanners read
// a list of 20,000 rows repeatedly and four clients request the report of a
// manifest.
func BenchmarkLoad(b *testing.B) {
	oriel := program(b)
	for _, rows := range sizes(b) {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for range b.N {
				loadOnce(b, oriel, rows)
			}
		})
	}
}

func loadOnce(b *testing.B, oriel string, rows int) {
	const scanners, listed, clients = 1000, 20_000, 4
	dir := b.TempDir()
	zip := filepath.Join(dir, "all.zip")
	writeOSV(b, zip, rows)
	db := open(b, filepath.Join(dir, "oriel.db"))
	_, err := db.UpdateVulnerabilities(b.Context(), "bench", "1", released(listed))
	require.NoError(b, err)
	f := rowSource{rows: 100_000, packages: 20_000}
	_, err = db.UpdateVulnerabilities(b.Context(), "reported", "1", f.all())
	require.NoError(b, err)
	index := inventory(f)
	_, err = db.PutIndexReport(b.Context(), index)
	require.NoError(b, err)
	require.NoError(b, db.Close())
	base, pid, stop := daemon(b, oriel, dir, scanners,
		fmt.Sprintf("[updater]\nat_start = false\nready_after = '0s'\n[[feed]]\nname = 'osv'\nformat = 'osv'\nurl = 'file:%s'\n", zip))
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: scanners}}
	defer client.CloseIdleConnections()

	var over atomic.Bool
	var passes, reports, busy atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, scanners+clients)
	for range scanners {
		wg.Go(func() {
			errs <- readWhile(&windowReader{client: client, base: base}, &over, &passes)
		})
	}
	for range clients {
		wg.Go(func() {
			errs <- reportWhile(client, base+"/matcher/api/v1/vulnerability_report/"+string(index.Hash), &over, &reports, &busy)
		})
	}
	start := time.Now()
	res, err := client.Post(base+"/matcher/api/v1/feeds/run?name=osv", "", nil)
	require.NoError(b, err)
	require.NoError(b, res.Body.Close())
	require.Equal(b, http.StatusAccepted, res.StatusCode)
	for !imported(b, client, base, rows) {
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(time.Since(start).Seconds(), "import-s")
	over.Store(true)
	wg.Wait()
	for range cap(errs) {
		require.NoError(b, <-errs)
	}
	b.ReportMetric(float64(passes.Load()), "lists-read")
	b.ReportMetric(float64(reports.Load()), "reports")
	b.ReportMetric(float64(busy.Load()), "reports-put-off")
	b.ReportMetric(peakMB(b, pid), "peak-MB")
}

// readWhile reads whole lists until the context ends.
func readWhile(r *windowReader, over *atomic.Bool, passes *atomic.Int64) error {
	for !over.Load() {
		r.after = ""
		if err := r.open(); err != nil {
			return err
		}
		for {
			_, done, err := r.next()
			if err != nil {
				return err
			}
			if done {
				passes.Add(1)
				break
			}
		}
	}
	return nil
}

// reportWhile requests a report repeatedly until the context ends, and counts
// the answers with Retry-After.
func reportWhile(client *http.Client, address string, over *atomic.Bool, reports, busy *atomic.Int64) error {
	for !over.Load() {
		res, err := client.Get(address)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		switch res.StatusCode {
		case http.StatusOK:
			reports.Add(1)
		case http.StatusServiceUnavailable:
			busy.Add(1)
		default:
			return fmt.Errorf("report: %s", res.Status)
		}
	}
	return nil
}

// imported reports whether the feed has been imported.
func imported(b *testing.B, client *http.Client, base string, rows int) bool {
	b.Helper()
	res, err := client.Get(base + "/matcher/api/v1/feeds")
	require.NoError(b, err)
	defer res.Body.Close()
	var list struct {
		Feeds []struct {
			Name, Error string
			Records     int
			Running     bool
		}
	}
	require.NoError(b, json.NewDecoder(res.Body).Decode(&list))
	for _, f := range list.Feeds {
		if f.Name == "osv" {
			require.Empty(b, strings.TrimSpace(f.Error))
			return f.Records == rows && !f.Running
		}
	}
	return false
}
