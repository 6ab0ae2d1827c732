package cli

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
)

// kills is how often TestUpdate_Killed kills the process.
var kills = flag.Int("kills", 5, "how often TestUpdate_Killed kills the process")

// asProgram makes the test binary run the program itself, so that a test can
// kill a real process.
const asProgram = "RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, assets()))
	}
	flag.Parse()
	// The tests' own variables are not keys of the configuration.
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "ORIEL_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// oriel runs a command to its end.
func runOriel(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = Run(t.Context(), args, &out, &errs, assets())
	return code, out.String(), errs.String()
}

// osvRecord is a record in the OSV format.
func osvRecord(id, pkg, fixed string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2024-01-01T00:00:00Z","summary":"about %s","affected":[{"package":{"ecosystem":"Go","name":%q},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`, id, id, pkg, fixed)
}

// writeZip writes a feed of n records, some of which differ from those of
// another round.
func writeZip(t *testing.T, path string, n, changed, round int) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	w := zip.NewWriter(f)
	for i := range n {
		fixed := fmt.Sprintf("1.%d.0", i)
		if i < changed {
			fixed = fmt.Sprintf("1.%d.%d", i, round)
		}
		e, err := w.Create(fmt.Sprintf("GO-%d.json", i))
		require.NoError(t, err)
		_, err = io.WriteString(e, osvRecord(fmt.Sprintf("GO-%d", i), fmt.Sprintf("example.test/p%d", i%500), fixed))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
}

// writeConfig writes a configuration with feeds (name, file) in a new
// directory and returns its path and the database's.
func writeConfig(t *testing.T, feeds ...string) (config, db string) {
	t.Helper()
	dir := t.TempDir()
	db = filepath.Join(dir, "oriel.db")
	var b strings.Builder
	fmt.Fprintf(&b, "listen = '127.0.0.1:0'\n[store]\npath = '%s'\n[updater]\ninterval = '0s'\n[log]\nlevel = 'warn'\n", db)
	for i := 0; i < len(feeds); i += 2 {
		fmt.Fprintf(&b, "[[feed]]\nname = '%s'\nformat = 'osv'\nurl = 'file:%s'\n", feeds[i], feeds[i+1])
	}
	config = filepath.Join(dir, "oriel.toml")
	require.NoError(t, os.WriteFile(config, []byte(b.String()), 0o600))
	return config, db
}

func TestDemo(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	done := make(chan int)
	var stderr strings.Builder
	go func() {
		code := Run(ctx, []string{"serve", "--demo"}, w, &stderr, assets())
		w.Close()
		done <- code
	}()
	lines, url := bufio.NewScanner(r), ""
	var printed strings.Builder
	for url == "" && lines.Scan() {
		printed.WriteString(lines.Text() + "\n")
		if _, u, ok := strings.Cut(lines.Text(), "curl -s "); ok {
			url = u
		}
	}
	require.NotEmpty(t, url, "%s%s", printed.String(), stderr.String())
	require.Contains(t, printed.String(), "Critical GHSA-jfh8-c2jp-5v3q")
	require.Contains(t, printed.String(), "feed demo/osv has a new version: 1 added")
	require.Regexp(t, `notification delivered to http://127.0.0.1:\d+/:\n  {"notification_id":"[-0-9a-f]{36}","callback":"http://127.0.0.1:\d+/notifier/api/v1/notification/`, printed.String())
	require.Contains(t, printed.String(), `"reason":"added","vulnerability":{"name":"GHSA-9wx4-h78v-vm56"`)
	require.Contains(t, printed.String(), "priority: urgent (known to be exploited, EPSS 0.99999, severity Critical)")
	require.Contains(t, printed.String(), "read the whole lists of crates.io, go, maven, npm, pypi, 9 rows; the same findings")
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	var report struct {
		Packages        map[string]clair.Package
		Vulnerabilities map[string]clair.Vulnerability
		Found           map[string][]string `json:"package_vulnerabilities"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&report))
	found := map[string]string{}
	for id, ids := range report.Found {
		for _, v := range ids {
			found[report.Packages[id].Name] += report.Vulnerabilities[v].Name
		}
	}
	require.Equal(t, map[string]string{
		"org.apache.logging.log4j:log4j-core": "GHSA-jfh8-c2jp-5v3q", "stdlib": "GO-2024-2687", "golang.org/x/net": "GO-2024-2687",
		"lodash": "GHSA-35jh-r3h4-6jhm", "requests": "GHSA-9wx4-h78v-vm56PYSEC-2023-74", "regex": "RUSTSEC-2022-0013",
	}, found)
	stop()
	_, _ = io.Copy(io.Discard, r)
	require.Zero(t, <-done, stderr.String())
}

func TestUpdate(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, feed, 300, 10, 1)
	config, db := writeConfig(t, "osv/Go", feed, "osv/broken", feed+".missing")
	code, out, errs := runOriel(t, "update", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "300 added, 0 removed")
	require.Contains(t, out, "osv/broken: failed")
	require.Contains(t, errs, "1 of 2 feeds failed")

	code, out, _ = runOriel(t, "update", "-c", config, "osv/Go")
	require.Zero(t, code)
	require.Contains(t, out, "osv/Go: unchanged")

	writeZip(t, feed, 300, 10, 2)
	code, out, _ = runOriel(t, "update", "-c", config, "osv/Go")
	require.Zero(t, code)
	require.Contains(t, out, "10 added, 10 removed, 290 unchanged")

	require.NoError(t, os.WriteFile(feed, []byte("PK is not enough"), 0o600))
	code, out, _ = runOriel(t, "update", "-c", config, "osv/Go")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "osv/Go: failed")
	require.Equal(t, 300, currentRows(t, db), "what was there is still there")

	code, _, errs = runOriel(t, "update", "-c", config, "nosuch")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `"nosuch": not found`)

	owner, err := store.Open(t.Context(), db, store.Options{})
	require.NoError(t, err)
	code, _, errs = runOriel(t, "update", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "another Oriel process is using it")
	require.NoError(t, owner.Close())
}

// currentRows counts the vulnerabilities of the current view.
func currentRows(t *testing.T, path string) int {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	n := 0
	for _, u := range s.Updaters() {
		for _, err := range s.Vulnerabilities(t.Context(), u) {
			require.NoError(t, err)
			n++
		}
	}
	return n
}

func TestCheck(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, feed, 3, 0, 1)
	config, db := writeConfig(t, "osv/Go", feed)
	code, out, _ := runOriel(t, "check", "-c", config)
	require.Zero(t, code)
	require.Contains(t, out, "does not exist yet")
	require.NoFileExists(t, db)
	code, _, _ = runOriel(t, "update", "-c", config)
	require.Zero(t, code)
	code, out, _ = runOriel(t, "check", "-c", config)
	require.Zero(t, code)
	require.Contains(t, out, "oriel.db: ok")

	require.NoError(t, os.WriteFile(db, []byte("not a database"), 0o600))
	code, _, errs := runOriel(t, "check", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "not an SQLite database")
	require.NoError(t, os.WriteFile(config, []byte("[store]\npaht = 'x'\n"), 0o600))
	code, _, errs = runOriel(t, "check", "-c", config)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "store.paht: unknown key (line 2)")
}

func TestUsage(t *testing.T) {
	code, out, _ := runOriel(t, "version")
	require.Zero(t, code)
	require.NotEmpty(t, out)
	for _, args := range [][]string{{"serve", "more"}, {"serve", "--nosuch"}} {
		code, _, errs := runOriel(t, args...)
		require.Equal(t, exitUsage, code)
		require.NotEmpty(t, errs)
	}
}

// A process that is killed at any moment of an import leaves a sound database
// that serves the last complete operation, and the next import completes.
func TestUpdate_Killed(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	const rows = 20000
	writeZip(t, feed, rows, 0, 0)
	config, db := writeConfig(t, "osv/Go", feed)
	start := time.Now()
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	whole := time.Since(start)

	killed := 0
	for i := range *kills {
		writeZip(t, feed, rows, rows/2, i+1)
		before := operations(t, db)
		cmd := exec.Command(os.Args[0], "update", "-c", config)
		cmd.Env = []string{asProgram + "=1"}
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rand.Int64N(int64(whole))))
		if cmd.Process.Kill() == nil && cmd.Wait() != nil {
			killed++
		}
		require.LessOrEqual(t, operations(t, db)-before, 1)
		require.Equal(t, rows, currentRows(t, db))
		code, out, _ := runOriel(t, "check", "-c", config)
		require.Zero(t, code, out)
	}
	code, out, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	require.Equal(t, rows, currentRows(t, db))
	t.Logf("killed %d of %d processes within %v; last: %s", killed, *kills, whole.Round(time.Millisecond), regexp.MustCompile(`\d+ added.*`).FindString(out))
}

func operations(t *testing.T, path string) int {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	return len(ops["osv/Go"])
}
