package cli

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/app"
	"oriel/store"
	"oriel/store/owner"
)

// startDaemon serves a configuration until the test ends, or stop is called,
// and returns the address.
func startDaemon(t *testing.T, config string) (url string, stop func()) {
	t.Helper()
	cfg, err := app.Load(config, nil, assets())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	up, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- app.Serve(ctx, cfg, assets(), slog.New(slog.DiscardHandler), func(_ context.Context, a *app.App) error {
			up <- a.URL()
			return nil
		})
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	select {
	case url = <-up:
	case err := <-done:
		require.NoError(t, err)
	}
	return url, stop
}

// get returns an answer's status and headers.
func get(t *testing.T, url string) *http.Response {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res
}

// waitReady waits until the daemon's feeds have succeeded.
func waitReady(t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool { return get(t, url+"/readyz").StatusCode == 200 }, time.Minute, 10*time.Millisecond)
}

// update, vacuum and backup while a daemon runs.
func TestBesideDaemon(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, feed, 300, 10, 1)
	config, db := writeConfig(t, "osv/Go", feed, "osv/broken", feed+".missing")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "[updater]\n", "[updater]\nat_start = false\nkeep = 1\n", 1)), 0o600))
	url, stop := startDaemon(t, config)
	require.Equal(t, 503, get(t, url+"/readyz").StatusCode)

	// Commands print the same about the daemon's runs as about their own.
	code, out, errs := runOriel(t, "update", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "asking the server at "+url)
	require.Contains(t, errs, "1 of 2 feeds failed")
	require.Regexp(t, `osv/Go: operation [0-9a-f-]{36}: 300 added, 0 removed, 0 unchanged`, out)
	require.Contains(t, out, "osv/broken: failed")
	code, out, _ = runOriel(t, "update", "-c", config, "osv/Go")
	require.Zero(t, code)
	require.Contains(t, out, "osv/Go: unchanged")
	writeZip(t, feed, 300, 10, 2)
	code, out, errs = runOriel(t, "update", "-c", config, "osv/Go", "--server", url+"/")
	require.Zero(t, code, errs)
	require.Contains(t, out, "10 added, 10 removed, 290 unchanged")
	code, _, errs = runOriel(t, "update", "-c", config, "nosuch")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `"nosuch": not found`)

	code, out, errs = runOriel(t, "vacuum", "-c", config)
	require.Zero(t, code, errs)
	require.Contains(t, out, "MB returned")
	require.Contains(t, errs, "asking the server")
	backup := filepath.Join(t.TempDir(), "backup.db")
	code, out, errs = runOriel(t, "backup", backup, "-c", config)
	require.Zero(t, code, errs)
	require.Contains(t, out, "checked")
	require.Equal(t, 300, currentRows(t, backup))
	code, _, errs = runOriel(t, "backup", db, "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "that is the database itself")

	// Once it has stopped, commands own the file themselves.
	stop()
	require.NoFileExists(t, db+".owner")
	code, out, errs = runOriel(t, "vacuum", "-c", config)
	require.Zero(t, code, errs)
	require.NotContains(t, errs, "asking")
	require.Contains(t, out, "MB returned")
	code, _, errs = runOriel(t, "update", "-c", config, "--server", url)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "refused")

	// A restored backup is complete and can be used.
	for _, companion := range []string{"-wal", "-shm"} {
		require.NoFileExists(t, db+companion)
	}
	text, err = os.ReadFile(backup)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(db, text, 0o600))
	code, out, errs = runOriel(t, "update", "-c", config, "osv/Go")
	require.Zero(t, code, errs)
	require.Contains(t, out, "unchanged")
	code, out, _ = runOriel(t, "check", "-c", config)
	require.Zero(t, code, out)
}

// Errors of the far side are passed on, and secrets are sent only to whom they
// are meant for.
func TestDaemon_Refusals(t *testing.T) {
	dir := t.TempDir()
	config, _ := writeConfig(t)
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("s3cret\n"), 0o600))
	var status int
	var body, sent string
	far := newFarSide(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	for _, c := range []struct {
		status     int
		body, says string
	}{
		{401, "", "--token-file"},
		{403, `{"code":"forbidden","message":"the role does not allow that"}`, "the role does not allow that: name a token"},
		{409, `{"code":"conflict","message":"it is running"}`, "refuses: it is running"},
		{503, "<html>", "Service Unavailable"},
		{307, "", "refuses: Temporary Redirect"},
		{200, "<html>", "response cannot be read"},
		{500, `{"message":"a\u001b[31mb"}`, "a\ufffd[31mb"},
	} {
		status, body = c.status, c.body
		code, _, errs := runOriel(t, "vacuum", "-c", config, "--server", far, "--token-file", token)
		require.Equal(t, exitFailed, code)
		require.Contains(t, errs, c.says)
		require.Equal(t, "Bearer s3cret", sent)
		require.NotContains(t, errs, "s3cret")
	}
	for _, args := range [][]string{{"--server", "nonsense"}, {"--server", "ftp://x"}, {"--server", far, "--token-file", token + "x"}, {"--server", far, "--ca-file", token}} {
		code, _, errs := runOriel(t, append([]string{"update", "-c", config}, args...)...)
		require.Equal(t, exitUsage, code, errs)
	}
}

// A server with TLS and tokens accepts those who can read the file next to the
// database.
func TestDaemon_TLS(t *testing.T) {
	config, path := writeConfig(t)
	var sent string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		fmt.Fprint(w, `{"freed_bytes":5000000}`)
	}))
	defer srv.Close()
	cert := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	db, err := store.Open(t.Context(), path, store.Options{})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Announce(owner.Owner{PID: 1, URL: srv.URL, Token: "s3cret", Certificate: cert}))
	info, err := os.Stat(path + ".owner")
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm(), "it holds a token")
	code, out, errs := runOriel(t, "vacuum", "-c", config)
	require.Zero(t, code, errs)
	require.Contains(t, out, "5.0 MB returned")
	require.Equal(t, "Bearer s3cret", sent)

	// Another server at its address gets nothing.
	sent = ""
	other := slices.Clone(srv.Certificate().Raw)
	other[len(other)-1] ^= 1
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other}), 0o600))
	code, _, errs = runOriel(t, "vacuum", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "not the one of the server")
	require.Empty(t, sent)
	code, _, errs = runOriel(t, "vacuum", "-c", config, "--server", srv.URL)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "certificate")
}

// newFarSide starts a server that the test controls.
func newFarSide(t *testing.T, f http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return srv.URL
}

// With one failed, one stale and one good feed, every surface that shows feeds
// shows their states.
func TestFeedsBehind(t *testing.T) {
	dir := t.TempDir()
	feed, sbom := filepath.Join(dir, "all.zip"), filepath.Join(dir, "sbom.json")
	writeZip(t, feed, 20, 0, 1)
	require.NoError(t, os.WriteFile(sbom, []byte(reportSBOM), 0o600))
	var feeds []string
	for _, name := range []string{"fine", "stale", "dead"} {
		copyOf := filepath.Join(dir, name+".zip")
		writeZip(t, copyOf, 20, 0, 1)
		feeds = append(feeds, "osv/"+name, copyOf)
	}
	config, path := writeConfig(t, feeds...)
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	code, out, errs := runOriel(t, "status", "-c", config)
	require.Zero(t, code, errs)
	require.Equal(t, 3, strings.Count(out, "ok"), out)

	// The failed one fails again; the stale one has not been read for two days.
	require.NoError(t, os.Remove(filepath.Join(dir, "dead.zip")))
	code, _, _ = runOriel(t, "update", "-c", config, "osv/dead")
	require.Equal(t, exitFailed, code)
	db, err := store.Open(t.Context(), path, store.Options{})
	require.NoError(t, err)
	old := time.Now().Add(-48 * time.Hour)
	require.NoError(t, db.SetUpdateStatus(t.Context(), clair.UpdateStatus{Updater: "osv/stale", Kind: clair.KindVulnerability, LastAttempt: old, LastSuccess: old, Records: 20}))
	require.NoError(t, db.Close())
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "[updater]\n", "[updater]\nat_start = false\n", 1)), 0o600))

	code, out, errs = runOriel(t, "status", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `osv/fine +ok`, out)
	require.Regexp(t, `osv/stale +stale +2d0h ago`, out)
	require.Regexp(t, `osv/dead +failed`, out)
	require.Contains(t, out, "osv/dead: update osv/dead")
	require.Contains(t, errs, "missing, failed, held back or stale: osv/stale, osv/dead")
	code, out, _ = runOriel(t, "status", "-c", config, "--json")
	require.Equal(t, exitFailed, code)
	var list api.FeedList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Equal(t, []clair.FeedCondition{clair.FeedOK, clair.FeedStale, clair.FeedFailed}, []clair.FeedCondition{list.Feeds[0].State, list.Feeds[1].State, list.Feeds[2].State})
	code, out, _ = runOriel(t, "report", sbom, "-c", config)
	require.Zero(t, code)
	require.Contains(t, out, "osv/stale, osv/dead")
	_, _, errs = runOriel(t, "report", sbom, "-c", config, "-f", "json")
	require.Contains(t, errs, "osv/stale, osv/dead")

	url, _ := startDaemon(t, config)
	res := get(t, url+"/readyz")
	require.Equal(t, 200, res.StatusCode, "what succeeded once is stored: a restart is ready at once")
	require.Equal(t, "osv/stale,osv/dead", res.Header.Get("Oriel-Partial"))
	put, err := http.Post(url+"/indexer/api/v1/index_report", "application/vnd.cyclonedx+json", strings.NewReader(reportSBOM))
	require.NoError(t, err)
	require.NoError(t, put.Body.Close())
	require.Equal(t, 201, put.StatusCode)
	report := get(t, url+strings.Replace(put.Header.Get("Location"), "/indexer/api/v1/index_report", "/matcher/api/v1/vulnerability_report", 1))
	require.Equal(t, 200, report.StatusCode)
	require.Equal(t, "osv/stale,osv/dead", report.Header.Get("Oriel-Partial"))
	require.Regexp(t, `^1728\d\d$`, report.Header.Get("Oriel-Data-Age"))
}

// A feed that is another server has updaters of its own; their results are
// shown, too.
func TestBesideDaemon_Set(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, feed, 30, 0, 1)
	config, _ := writeConfig(t, "osv/Go", feed)
	upstream, _ := startDaemon(t, config)
	waitReady(t, upstream)

	config, _ = writeConfig(t)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	text = append([]byte(strings.Replace(string(text), "[updater]\n", "[updater]\nat_start = false\n", 1)),
		fmt.Sprintf("[[feed]]\nname = 'mirror'\nformat = 'clair'\nurl = '%s'\n", upstream)...)
	require.NoError(t, os.WriteFile(config, text, 0o600))
	startDaemon(t, config)
	code, out, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	require.Regexp(t, `^osv/Go: operation [0-9a-f-]{36}: 30 added`, out)
	code, out, errs = runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	require.Contains(t, out, "mirror: unchanged")
	code, out, errs = runOriel(t, "status", "-c", config)
	require.Zero(t, code, errs)
	require.Regexp(t, `osv/Go +ok`, out)
}

// If the disk is too full for imports, the feeds fail with an error that names
// the key, and the existing data stay.
func TestUpdate_NoRoom(t *testing.T) {
	dir := t.TempDir()
	feed := filepath.Join(dir, "all.zip")
	writeZip(t, feed, 20, 0, 1)
	config, db := writeConfig(t, "osv/Go", feed)
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "[store]\n", "[store]\nmin_free = '4000000TiB'\n", 1)), 0o600))
	writeZip(t, feed, 20, 10, 2)
	code, out, _ := runOriel(t, "update", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "no room for an import")
	code, out, _ = runOriel(t, "status", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `osv/Go +failed`, out)
	require.Contains(t, out, "store.min_free is 4000000TiB")
	require.Equal(t, 20, currentRows(t, db))
	require.Equal(t, 1, operations(t, db))
}
