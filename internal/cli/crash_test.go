package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/owner"
)

// startProcess starts a real server process and returns its address.
func startProcess(t *testing.T, config, db string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "serve", "-c", config)
	cmd.Env = []string{asProgram + "=1"}
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		o, err := owner.Read(db)
		url = o.URL
		return err == nil && o.PID == cmd.Process.Pid
	}, time.Minute, 5*time.Millisecond)
	return cmd, url
}

// bill returns an SBOM of some packages that a feed names, and its digest.
func bill(i int) (body string, digest clair.Digest) {
	var b strings.Builder
	fmt.Fprintf(&b, `{"bomFormat":"CycloneDX","specVersion":"1.5","version":%d,"components":[`, i+1)
	for p := range billPackages {
		if p > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"library","name":"p%d","version":"v1.%d.0","purl":"pkg:golang/example.test/p%d@v1.%d.0"}`, p, i, p, i)
	}
	b.WriteString("]}")
	return b.String(), clair.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(b.String()))))
}

const billPackages = 100

// OPS-05: a server that is killed while it indexes and updates leaves no stuck
// lock, no half report and no half update.
func TestServe_Killed(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	const rows = 2000
	writeZip(t, feed, rows, 0, 0)
	config, db := writeConfig(t, "osv/Go", feed)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "[updater]\n", "[updater]\nat_start = false\n", 1)), 0o600))
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)

	sent, finished := 0, 0
	for round := range (*kills + 1) / 2 {
		writeZip(t, feed, rows, rows/2, round+1)
		cmd, url := startProcess(t, config, db)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { post(ctx, url+"/matcher/api/v1/feeds/run", "") })
		for range 4 {
			i := sent
			sent++
			wg.Go(func() {
				body, _ := bill(i)
				post(ctx, url+"/indexer/api/v1/index_report", body)
			})
		}
		time.Sleep(time.Duration(rand.Int64N(int64(250 * time.Millisecond))))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		cancel()
		wg.Wait()
		require.FileExists(t, db+".owner", "nobody was there to remove it")

		require.Equal(t, rows, currentRows(t, db))
		code, out, errs := runOriel(t, "check", "-c", config)
		require.Zero(t, code, out+errs)
		finished += wholeReports(t, db, sent)
		// The next process can own the file without any clean-up.
		code, _, errs = runOriel(t, "vacuum", "-c", config)
		require.Zero(t, code, errs)
		require.NoFileExists(t, db+".owner")
	}
	cmd, url := startProcess(t, config, db)
	for i := range sent {
		body, digest := bill(i)
		require.Equal(t, 201, post(t.Context(), url+"/indexer/api/v1/index_report", body))
		require.Equal(t, 200, get(t, url+"/matcher/api/v1/vulnerability_report/"+string(digest)).StatusCode)
	}
	require.Equal(t, sent, wholeReports(t, db, sent))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	t.Logf("%d of %d reports were finished before a kill", finished, sent)
}

// post returns the status of an answer, or 0 if there is none.
func post(ctx context.Context, url, body string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/vnd.cyclonedx+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// wholeReports counts the finished reports, each of which must be complete.
func wholeReports(t *testing.T, path string, sent int) (finished int) {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	for i := range sent {
		_, digest := bill(i)
		r, err := db.IndexReport(t.Context(), digest)
		if err != nil {
			require.ErrorIs(t, err, clair.ErrNotFound)
			continue
		}
		if r.State == clair.StateIndexFinished {
			finished++
			require.Len(t, r.Packages, billPackages)
		}
	}
	return finished
}

// UPD-03 and UPD-07: an unchanged feed makes no operation, only the newest are
// kept, and reports use the current one.
func TestUpdate_Keep(t *testing.T) {
	dir := t.TempDir()
	feed, sbom := filepath.Join(dir, "all.zip"), filepath.Join(dir, "sbom.json")
	require.NoError(t, os.WriteFile(sbom, []byte(reportSBOM), 0o600))
	config, db := writeConfig(t, "osv/Go", feed)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "[updater]\n", "[updater]\nkeep = 2\n", 1)), 0o600))
	var report string
	for round := range 5 {
		writeZip(t, feed, 50, 5, round)
		for _, says := range []string{"operation", "unchanged ("} {
			code, out, errs := runOriel(t, "update", "-c", config)
			require.Zero(t, code, errs)
			require.Contains(t, out, says)
		}
		require.Equal(t, min(round+1, 2), operations(t, db))
		code, out, errs := runOriel(t, "report", sbom, "-c", config, "-f", "json")
		require.Zero(t, code, errs)
		var r struct {
			Vulnerabilities map[string]clair.Vulnerability
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		var names []string
		for _, v := range r.Vulnerabilities {
			names = append(names, v.Name+" "+v.FixedInVersion)
		}
		if round > 0 {
			require.Equal(t, report, fmt.Sprint(names))
		}
		report = fmt.Sprint(names)
		require.Contains(t, report, "GO-7 1.7.0")
	}
}

// OPS-02.
func TestServe_Introspection(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, feed, 3, 0, 1)
	config, _ := writeConfig(t, "osv/Go", feed)
	url, _ := startDaemon(t, config)
	res, err := http.Get(url + "/healthz")
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "ok", string(body))
	waitReady(t, url)
	require.Equal(t, 405, post(t.Context(), url+"/readyz", ""))
	require.Equal(t, 200, get(t, url+"/readyz").StatusCode)
}
