package cli

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// internet is a loopback server that stands for the feeds' servers. It counts
// the requests by path.
type internet struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	// broken are paths that answer with an error.
	broken []string
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	files := map[string][]byte{
		"/v3.23/main.json":      alpineFeed("v3.23", "main", "busybox", "1.37.0-r10"),
		"/v3.23/community.json": alpineFeed("v3.23", "community", "git-lfs", "3.0.0-r1"),
		"/v3.22/main.json":      alpineFeed("v3.22", "main", "busybox", "1.37.0-r9"),
		"/Go/all.zip":           zipped(t, "GO-1.json", osvRecord("GO-1", "example.test/p1", "1.2.0")),
		"/npm/all.zip":          zipped(t, "N-1.json", osvRecord("N-1", "example.test/p1", "1.2.0")),
		"/debian":               []byte(`{"openssl":{"CVE-2024-1":{"description":"d","releases":{"bookworm":{"status":"resolved","fixed_version":"3.0.1","urgency":"low"}}}}}`),
	}
	for path, name := range map[string]string{
		"/epss.csv": "epss.csv", "/kev.json": "known_exploited_vulnerabilities.json", "/nvd.json": "nvd.json",
	} {
		text, err := os.ReadFile(filepath.Join("../../demo/enrich", name))
		require.NoError(t, err)
		files[path] = text
	}
	n := &internet{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.requests = append(n.requests, r.URL.Path)
		text, ok := files[r.URL.Path]
		if !ok || slices.Contains(n.broken, r.URL.Path) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, r.URL.Path, time.Unix(1700000000, 0), bytes.NewReader(text))
	}))
	t.Cleanup(n.Close)
	return n
}

// breakPaths makes these paths, and no others, answer with an error.
func (n *internet) breakPaths(paths ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = paths
}

// taken returns the sorted paths of the requests since the last call.
func (n *internet) taken() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Compact(slices.Sorted(slices.Values(n.requests)))
	n.requests = nil
	return out
}

func alpineFeed(branch, repository, pkg, fixed string) []byte {
	return fmt.Appendf(nil, `{"distroversion":%q,"reponame":%q,"packages":[{"pkg":{"name":%q,"secfixes":{%q:["CVE-2024-0001"]}}}]}`,
		branch, repository, pkg, fixed)
}

func zipped(t *testing.T, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create(name)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// machine is an empty folder with a configuration whose feeds are automatic.
type machine struct {
	*testing.T
	net *internet
	dir string
}

func newMachine(t *testing.T, keys string) *machine {
	t.Helper()
	m := &machine{t, newInternet(t), t.TempDir()}
	text := fmt.Sprintf("[store]\npath = %q\n[log]\nlevel = 'error'\n%s\n", filepath.Join(m.dir, "oriel.db"), keys)
	for _, f := range []struct{ name, format, path, more string }{
		{"alpine/v{release}-main", "alpine", "/v{release}/main.json", "enabled = 'auto'\nplaces = ['alpine:{release}']"},
		{"alpine/v{release}-community", "alpine", "/v{release}/community.json", "enabled = 'auto'\nplaces = ['alpine:{release}']"},
		{"debian", "debian", "/debian", "enabled = 'auto'"},
		{"osv/Go", "osv", "/Go/all.zip", "enabled = 'auto'\necosystems = ['Go']"},
		{"osv/npm", "osv", "/npm/all.zip", "enabled = 'auto'\necosystems = ['npm']"},
		{"nvd", "nvd", "/nvd.json", "enabled = 'auto'"},
		{"epss", "epss", "/epss.csv", ""},
		{"kev", "kev", "/kev.json", ""},
	} {
		text += fmt.Sprintf("[[feed]]\nname = %q\nformat = %q\nurl = %q\n%s\n", f.name, f.format, m.net.URL+f.path, f.more)
	}
	m.write("oriel.toml", text)
	m.write("alpine/etc/os-release", "ID=alpine\nVERSION_ID=3.23.0\nNAME=\"Alpine Linux\"\nPRETTY_NAME=\"Alpine Linux v3.23\"\n")
	m.write("alpine/lib/apk/db/installed", "P:busybox\nV:1.37.0-r1\nA:x86_64\no:busybox\n\n")
	m.write("kali/etc/os-release", "ID=kali\nVERSION_ID=2024.1\nNAME=Kali\n")
	m.write("kali/var/lib/dpkg/status", "Package: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64\n\n")
	return m
}

func (m *machine) write(name, text string) {
	m.Helper()
	path := filepath.Join(m.dir, name)
	require.NoError(m, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(m, os.WriteFile(path, []byte(text), 0o600))
}

// report makes a report with the flags.
func (m *machine) report(input string, flags ...string) (code int, stdout, stderr string) {
	m.Helper()
	return runOriel(m.T, append([]string{"report", "-c", filepath.Join(m.dir, "oriel.toml"), filepath.Join(m.dir, input)}, flags...)...)
}

// The first report of an image fetches the feeds of its release, and those that
// every report uses. Progress is printed on standard error alone.
func TestReport_FetchesWhatItNeeds(t *testing.T) {
	m := newMachine(t, "")
	code, out, errs := m.report("alpine", "-f", "csv")
	require.Zero(t, code, errs)
	require.Contains(t, out, "CVE-2024-0001")
	require.NotContains(t, out, "fetching")
	for _, name := range []string{"alpine/v3.23-main (127 B)", "alpine/v3.23-community (130 B)", "epss", "kev"} {
		require.Contains(t, errs, "fetching "+name)
	}
	require.Equal(t, []string{"/epss.csv", "/kev.json", "/v3.23/community.json", "/v3.23/main.json"}, m.net.taken())
	require.Contains(t, errs, "some findings have no severity; to have it from NVD: oriel update nvd")

	code, _, errs = m.report("alpine")
	require.Zero(t, code)
	require.Empty(t, m.net.taken(), "what has been fetched is not fetched again")
	require.NotContains(t, errs, "fetching")

	// The finding has no severity, which a gate depends on and NVD may have.
	code, _, errs = m.report("alpine", "--fail-on", "kev")
	require.Zero(t, code, errs)
	require.Empty(t, m.net.taken())
	code, _, errs = m.report("alpine", "--fail-on", "high")
	require.Zero(t, code, errs)
	require.Equal(t, []string{"/nvd.json"}, m.net.taken())
	require.Contains(t, errs, "fetching nvd")

	// A release that no feed covers fetches nothing, and is not clean.
	code, out, _ = m.report("kali")
	require.Zero(t, code)
	require.Contains(t, out, "Not covered: kali:2024.1 (1 package)")
	require.Empty(t, m.net.taken())
}

// A machine without a database makes one although no feed covers its input.
func TestReport_NothingToFetch(t *testing.T) {
	m := newMachine(t, "")
	code, out, errs := m.report("kali")
	require.Zero(t, code, errs)
	require.Contains(t, out, "Not covered: kali:2024.1 (1 package)")
	require.Empty(t, m.net.taken())
	code, _, errs = m.report("kali", "--fail-on", "critical")
	require.Equal(t, exitGate, code)
	require.Contains(t, errs, "Gate: incomplete:")
}

func TestReport_Offline(t *testing.T) {
	for _, c := range []struct{ name, keys, variable, flag string }{
		{"flag", "", "", "--offline"},
		{"variable", "", "1", ""},
		{"configuration", "[updater]\nauto = false\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv("ORIEL_OFFLINE", c.variable)
			}
			m := newMachine(t, c.keys)
			var flags []string
			if c.flag != "" {
				flags = []string{c.flag}
			}
			code, _, errs := m.report("alpine", flags...)
			require.Equal(t, exitFailed, code)
			require.Contains(t, errs, "there is no database yet")
			code, _, errs = runOriel(t, "update", "-c", filepath.Join(m.dir, "oriel.toml"), "debian", "epss")
			require.Zero(t, code, errs)
			m.net.taken()
			code, out, errs := m.report("alpine", flags...)
			require.Zero(t, code, errs)
			require.Contains(t, out, "Not covered: alpine:3.23 (1 package): never-fetched. Run: oriel update alpine/v3.23-main alpine/v3.23-community.")
			require.Empty(t, m.net.taken())
		})
	}
	t.Run("not_a_truth_value", func(t *testing.T) {
		t.Setenv("ORIEL_OFFLINE", "perhaps")
		code, _, errs := newMachine(t, "").report("alpine")
		require.Equal(t, exitUsage, code)
		require.Contains(t, errs, "ORIEL_OFFLINE")
	})
}

// A feed that cannot be fetched leaves the report, which names it, and is not
// asked for again at once.
func TestReport_FetchFails(t *testing.T) {
	m := newMachine(t, "")
	m.net.breakPaths("/v3.23/main.json", "/v3.23/community.json")
	code, out, errs := m.report("alpine")
	require.Zero(t, code, errs)
	require.Contains(t, errs, "oriel: warning: alpine/v3.23-main could not be fetched: ")
	require.Contains(t, out, "Not covered: alpine:3.23 (1 package): never-fetched.")
	require.Contains(t, m.net.taken(), "/v3.23/main.json")
	m.net.breakPaths()
	code, _, errs = m.report("alpine", "--fail-on", "critical")
	require.Equal(t, exitGate, code)
	require.Contains(t, errs, "Gate: incomplete:")
	require.Empty(t, m.net.taken())
}

// A release has two files: by one of them alone it is not covered.
func TestReport_OneOfTwoFails(t *testing.T) {
	m := newMachine(t, "")
	m.net.breakPaths("/v3.23/main.json")
	code, out, errs := m.report("alpine", "--fail-on", "kev")
	require.Equal(t, exitGate, code)
	require.Contains(t, out, "Not covered: alpine:3.23 (1 package): never-fetched. The feed alpine/v3.23-main could not be fetched: ")
	require.Contains(t, errs, "Gate: incomplete:")
}

// A configuration without automatic feeds causes no download.
func TestReport_NoAutomaticFeeds(t *testing.T) {
	m := newMachine(t, "")
	text, err := os.ReadFile(filepath.Join(m.dir, "oriel.toml"))
	require.NoError(t, err)
	config := strings.ReplaceAll(string(text), "enabled = 'auto'", "enabled = false")
	m.write("oriel.toml", config)
	code, _, errs := runOriel(t, "update", "-c", filepath.Join(m.dir, "oriel.toml"), "epss")
	require.Zero(t, code, errs)
	m.net.taken()
	code, out, errs := m.report("alpine")
	require.Zero(t, code, errs)
	require.Contains(t, out, "Not covered: alpine:3.23 (1 package): no-feed.")
	require.Empty(t, m.net.taken())
}

// A database that cannot be written is read as it is.
func TestReport_DatabaseOfAnother(t *testing.T) {
	m := newMachine(t, "")
	code, _, errs := runOriel(t, "update", "-c", filepath.Join(m.dir, "oriel.toml"), "epss")
	require.Zero(t, code, errs)
	m.net.taken()
	require.NoError(t, os.Remove(filepath.Join(m.dir, "oriel.db.lock")))
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, "oriel.db.lock"), 0o700)) // in the way of the lock
	code, out, errs := m.report("alpine")
	require.Zero(t, code, errs)
	require.Contains(t, errs, "could not be fetched: ")
	require.Contains(t, out, "Not covered: alpine:3.23")
	require.Empty(t, m.net.taken())
}

// A server that owns the database is asked to fetch the feeds.
func TestReport_AsksTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	m := newMachine(t, "[updater]\nat_start = false\ninterval = '0s'\n")
	text, err := os.ReadFile(filepath.Join(m.dir, "oriel.toml"))
	require.NoError(t, err)
	m.write("oriel.toml", fmt.Sprintf("listen = %q\n", address)+string(text))
	b := box{t, filepath.Join(m.dir, "oriel.toml"), filepath.Join(m.dir, "oriel.db")}
	url := b.serve()
	code, out, errs := m.report("alpine")
	require.Zero(t, code, errs)
	require.Contains(t, errs, "asking the server at "+url+" to fetch alpine/v3.23-main, alpine/v3.23-community, epss, kev")
	require.Contains(t, errs, "alpine/v3.23-main: fetched")
	require.Contains(t, out, "CVE-2024-0001")
	require.NotContains(t, out, "Not covered")
	require.Subset(t, m.net.taken(), []string{"/epss.csv", "/kev.json", "/v3.23/community.json", "/v3.23/main.json"})
}

// A manifest that is put into a server has the feeds of its place fetched, and its
// report says so until they are there.
func TestServe_FetchesWhatIsNeeded(t *testing.T) {
	m := newMachine(t, "[updater]\nat_start = false\ninterval = '0s'\n")
	text, err := os.ReadFile(filepath.Join(m.dir, "oriel.toml"))
	require.NoError(t, err)
	m.write("oriel.toml", "listen = '127.0.0.1:0'\n"+string(text))
	url := box{t, filepath.Join(m.dir, "oriel.toml"), filepath.Join(m.dir, "oriel.db")}.serve()

	digest := "sha256:" + strings.Repeat("a", 64)
	index := fmt.Sprintf(`{"manifest_hash":%q,"state":"IndexFinished","success":true,
		"packages":{"1":{"id":"1","name":"busybox","version":"1.37.0-r1","kind":"binary","source":{"id":"2","name":"busybox","version":"1.37.0-r1","kind":"source"}}},
		"distributions":{"1":{"id":"1","did":"alpine","name":"Alpine Linux","version_id":"3.23","pretty_name":"Alpine Linux v3.23"}},
		"environments":{"1":[{"package_db":"lib/apk/db/installed","distribution_id":"1"}]}}`, digest)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/indexer/api/v1/index_report/"+digest, strings.NewReader(index))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusCreated, res.StatusCode)

	var report struct {
		Vulnerabilities map[string]struct{ Name string }
	}
	require.Eventually(t, func() bool {
		res, err := http.Get(url + "/matcher/api/v1/vulnerability_report/" + digest)
		require.NoError(t, err)
		defer res.Body.Close()
		if res.StatusCode == http.StatusAccepted || res.Header.Get("Oriel-Not-Covered") != "" {
			return false
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&report))
		return true
	}, time.Minute, 10*time.Millisecond)
	require.Len(t, report.Vulnerabilities, 1)
	require.NotContains(t, m.net.taken(), "/debian", "nothing needs it")
}

// If no database can be made, a report lists everything as not covered, and a
// gate fails.
func TestReport_WithoutDatabase(t *testing.T) {
	m := newMachine(t, "")
	t.Setenv("ORIEL_STORE_PATH", filepath.Join(m.dir, "missing", "oriel.db"))
	code, out, errs := m.report("alpine")
	require.Zero(t, code, errs)
	require.Contains(t, out, "Not covered: alpine:3.23 (1 package): never-fetched.")
	require.Contains(t, errs, "the report is made without any data: ")
	require.Empty(t, m.net.taken())
	code, _, errs = m.report("alpine", "--fail-on", "high")
	require.Equal(t, exitGate, code)
	require.Contains(t, errs, "Gate: incomplete: ")
}
