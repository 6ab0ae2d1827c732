package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"oriel/internal/app"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// realDaemon is the program serving in a process of its own, always at the
// same address.
type realDaemon struct {
	t           *testing.T
	config, url string
	cmd         *exec.Cmd
}

// newRealDaemon writes a configuration for a feed, fills the database and
// starts the daemon.
func newRealDaemon(t *testing.T, feed, window string) *realDaemon {
	t.Helper()
	config, _ := writeConfig(t, "osv/Go", feed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	text = append([]byte(fmt.Sprintf("listen = %q\n", l.Addr())), text[len("listen = '127.0.0.1:0'\n"):]...)
	require.NoError(t, os.WriteFile(config, append(text, window...), 0o600))
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	d := &realDaemon{t: t, config: config, url: "http://" + l.Addr().String()}
	d.start()
	t.Cleanup(d.kill)
	return d
}

func (d *realDaemon) start() {
	d.cmd = exec.Command(os.Args[0], "serve", "-c", d.config)
	d.cmd.Env = []string{asProgram + "=1"}
	require.NoError(d.t, d.cmd.Start())
	require.Eventually(d.t, func() bool { return d.rowsRead() >= 0 }, 20*time.Second, 5*time.Millisecond, "never ready")
}

func (d *realDaemon) kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// rowsRead returns how many rows the window has read, or -1 if the server does
// not answer.
func (d *realDaemon) rowsRead() int {
	res, err := http.Get(d.url + "/patches/v1/status")
	if err != nil {
		return -1
	}
	defer res.Body.Close()
	var st struct {
		Rows int `json:"rows_read"`
	}
	if json.NewDecoder(res.Body).Decode(&st) != nil {
		return -1
	}
	return st.Rows
}

// foundIn returns the findings of a report in Clair's JSON.
func foundIn(t *testing.T, text string) map[string][]string {
	t.Helper()
	var r struct {
		Found map[string][]string `json:"package_vulnerabilities"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &r), text)
	return r.Found
}

// TestScan scans an SBOM through a real daemon, which is killed in the middle
// and started again; then with a scanner that is killed in the middle and
// started again.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	feed, sbom := filepath.Join(dir, "all.zip"), filepath.Join(dir, "sbom.json")
	writeZip(t, feed, 6000, 0, 1)
	require.NoError(t, os.WriteFile(sbom, []byte(reportSBOM), 0o600))
	d := newRealDaemon(t, feed, "[window]\npage_rows = 8\npane_rows = 64\nsession_timeout = '1s'\n")
	scan := []string{"scan", sbom, "--server", d.url, "-f", "json"}
	code, want, errs := runOriel(t, "report", sbom, "-c", d.config, "-f", "json")
	require.Zero(t, code, errs)
	require.NotEmpty(t, foundIn(t, want))
	code, out, errs := runOriel(t, scan...)
	require.Zero(t, code, errs)
	require.Equal(t, foundIn(t, want), foundIn(t, out))
	require.Contains(t, errs, "a scan has no enrichments")
	require.Contains(t, out, `"unmatched":[{`, "the nameless component")

	// The server is killed in the middle.
	done := make(chan int)
	before := d.rowsRead()
	go func() {
		var code int
		code, out, errs = runOriel(t, scan...)
		done <- code
	}()
	require.Eventually(t, func() bool { return d.rowsRead() > before+1000 }, 10*time.Second, time.Millisecond)
	d.kill()
	select {
	case <-done:
		require.Fail(t, "the scan was over before")
	case <-time.After(200 * time.Millisecond):
	}
	d.start()
	require.Zero(t, <-done, errs)
	require.Equal(t, foundIn(t, want), foundIn(t, out))

	// The scanner is killed in the middle, without a word to the server.
	cmd := exec.Command(os.Args[0], scan...)
	cmd.Env = []string{asProgram + "=1"}
	before = d.rowsRead()
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return d.rowsRead() > before+1000 }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	code, out, errs = runOriel(t, scan...)
	require.Zero(t, code, errs)
	require.Equal(t, foundIn(t, want), foundIn(t, out))

	code, out, errs = runOriel(t, "scan", sbom, "--server", d.url, "--fail-on", "unknown")
	require.Equal(t, exitGate, code)
	require.Contains(t, out, "GO-7")
	require.Contains(t, errs, "severity unknown or worse")
	code, _, errs = runOriel(t, "scan", filepath.Join(dir, "missing"), "--server", d.url)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "missing")
	d.kill()
	code, out, errs = runOriel(t, append(scan, "--give-up", "1ns")...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "gave up")
	require.Empty(t, out, "nothing looks clean")
}

func TestScan_Root(t *testing.T) {
	dir := t.TempDir()
	feed := filepath.Join(dir, "all.zip")
	writeZip(t, feed, 5, 0, 1)
	d := newRealDaemon(t, feed, "")
	for path, text := range map[string]string{
		"etc/os-release":      "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n",
		"var/lib/dpkg/status": "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n\n",
	} {
		path = filepath.Join(dir, "root", path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	code, out, errs := runOriel(t, "scan", "--root", filepath.Join(dir, "root"), "--server", d.url)
	require.Zero(t, code, errs)
	require.Contains(t, out, "Not covered: debian:12 (1 package): no-feed.", "that must not look clean")
}

func TestScan_Flags(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"a", "b"}, {"-f", "pdf"}, {"--fail-on", "kev"}, {"--fail-on", "epss=0.5"}, {"--server", "nowhere"}, {"--why"},
		{"--token-file", filepath.Join(dir, "none")}, {"--ca-file", filepath.Join(dir, "none")}, {"--ca-file", "main.go"}, {"--distro", "nosuch:1"},
	} {
		code, _, errs := runOriel(t, append([]string{"scan"}, args...)...)
		require.Equal(t, exitUsage, code, args)
		require.NotEmpty(t, errs)
	}

	// A server with a private certificate authority that requires a token.
	var authorized atomic.Int64
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		authorized.Add(1)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":"unknown-platform","message":"none"}`)
			return
		}
		fmt.Fprint(w, `{"platforms":[]}`)
	}))
	defer srv.Close()
	ca, token, sbom := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token"), filepath.Join(dir, "sbom.json")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	require.NoError(t, os.WriteFile(sbom, []byte(reportSBOM), 0o600))
	code, out, errs := runOriel(t, "scan", sbom, "--server", srv.URL, "--ca-file", ca, "--token-file", token)
	require.Zero(t, code, errs)
	require.Contains(t, out, "Not covered: go (2 packages): no-feed.")
	require.EqualValues(t, 2, authorized.Load())
	t.Setenv(app.TokenVariable, "secret")
	code, _, errs = runOriel(t, "scan", sbom, "--server", srv.URL, "--ca-file", ca)
	require.Zero(t, code, errs)
	code, _, _ = runOriel(t, "check", "-c", filepath.Join(dir, "none"))
	require.Equal(t, exitUsage, code)
	config, _ := writeConfig(t)
	code, _, errs = runOriel(t, "check", "-c", config)
	require.Zero(t, code, errs, "the token is not a key of the configuration")
	t.Setenv(app.TokenVariable, "wrong")
	code, _, errs = runOriel(t, "scan", sbom, "--server", srv.URL, "--ca-file", ca)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "401")
	code, _, errs = runOriel(t, "scan", sbom, "--server", srv.URL, "--give-up", "1ns")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "certificate")
}
