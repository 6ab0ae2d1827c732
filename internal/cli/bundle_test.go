package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/bundle"
	"oriel/store"
)

// box is a configuration and its database.
type box struct {
	*testing.T
	config, db string
}

// newBox makes a box with feeds as TOML, and further keys before them.
func newBox(t *testing.T, keys, feeds string) box {
	t.Helper()
	dir := t.TempDir()
	b := box{t, filepath.Join(dir, "oriel.toml"), filepath.Join(dir, "oriel.db")}
	text := fmt.Sprintf("listen = '127.0.0.1:0'\n[store]\npath = '%s'\n[updater]\ninterval = '0s'\nat_start = false\n[log]\nlevel = 'error'\n%s\n%s", b.db, keys, feeds)
	require.NoError(t, os.WriteFile(b.config, []byte(text), 0o600))
	return b
}

// demoFeeds are the demonstration's, one of each format.
func demoFeeds(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../demo")
	require.NoError(t, err)
	var b strings.Builder
	for _, f := range [][2]string{{"osv", "osv"}, {"nvd", "enrich/nvd.json"}, {"epss", "enrich/epss.csv"}, {"kev", "enrich/known_exploited_vulnerabilities.json"}} {
		fmt.Fprintf(&b, "[[feed]]\nname = 'the/%s'\nformat = '%s'\nurl = 'file:%s'\n", f[0], f[0], filepath.Join(dir, f[1]))
	}
	return b.String()
}

// run runs a command, which must succeed, and returns what it printed.
func (b box) run(args ...string) string {
	b.Helper()
	code, out, errs := runOriel(b.T, append(args, "-c", b.config)...)
	require.Zero(b, code, "%s%s", out, errs)
	return out
}

// refuse runs a command, which must fail, and returns its error.
func (b box) refuse(args ...string) string {
	b.Helper()
	code, _, errs := runOriel(b.T, append(args, "-c", b.config)...)
	require.Equal(b, exitFailed, code, errs)
	return errs
}

// lines returns the plain lines of a bundle of the box, without those that
// differ between two boxes with the same data.
func (b box) lines() []string {
	b.Helper()
	db, err := store.Open(b.Context(), b.db, store.Options{ReadOnly: true})
	require.NoError(b, err)
	defer db.Close()
	l, err := db.Latest(b.Context())
	require.NoError(b, err)
	defer l.Close()
	var out []string
	for c, err := range l.Contents(b.Context()) {
		require.NoError(b, err)
		out = append(out, fmt.Sprint(c.Updater, c.Kind, c.Format, c.Fingerprint, c.Checked))
		if c.Kind == clair.KindEnrichment {
			for r, err := range c.Enrichments {
				require.NoError(b, err)
				out = append(out, fmt.Sprintf("%q %s", r.Tags, r.Enrichment))
			}
			continue
		}
		for v, err := range c.Vulnerabilities {
			require.NoError(b, err)
			v.ID = ""
			text, err := json.Marshal(v)
			require.NoError(b, err)
			out = append(out, fmt.Sprintf("%s %q", text, v.Aliases))
		}
	}
	slices.Sort(out)
	return out
}

// operations returns the refs of all operations.
func (b box) operations() []string {
	b.Helper()
	db, err := store.Open(b.Context(), b.db, store.Options{ReadOnly: true})
	require.NoError(b, err)
	defer db.Close()
	ops, err := db.GetUpdateOperations(b.Context(), "")
	require.NoError(b, err)
	var refs []string
	for _, list := range ops {
		for _, o := range list {
			refs = append(refs, o.Ref.String())
		}
	}
	slices.Sort(refs)
	return refs
}

const demoSBOM = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
	{"type":"library","name":"log4j-core","group":"org.apache.logging.log4j","version":"2.14.1","purl":"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
	{"type":"library","name":"net","version":"v0.20.0","purl":"pkg:golang/golang.org/x/net@v0.20.0"},
	{"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20"},
	{"type":"library","name":"requests","version":"2.30.0","purl":"pkg:pypi/requests@2.30.0"}]}`

// A box without feeds that imports another box's export makes the same
// reports, with all enrichments.
func TestBundle_Carried(t *testing.T) {
	a, b := newBox(t, "", demoFeeds(t)), newBox(t, "", "")
	a.run("update")
	dir := t.TempDir()
	file, sbom := filepath.Join(dir, "feeds.bundle"), filepath.Join(dir, "sbom.json")
	require.NoError(t, os.WriteFile(sbom, []byte(demoSBOM), 0o600))
	a.run("export", file)
	require.Equal(t, 4, strings.Count(b.run("import", file), ": operation "))
	require.Equal(t, a.lines(), b.lines())

	numbers := regexp.MustCompile(`"(id|\d+)": ?"?\d*"?`) // rows have other ids there
	for _, format := range []string{"table", "csv", "sarif", "cyclonedx", "json"} {
		var reports [2]string
		for i, box := range []box{a, b} {
			out := box.run("report", sbom, "-f", format)
			for _, changing := range []string{`\d{4}-\d\d-\d\dT[0-9:.]+Z`, `urn:uuid:[0-9a-f-]+`, `(?m)^.*data of .*$`} {
				out = regexp.MustCompile(changing).ReplaceAllString(out, "")
			}
			if format == "json" {
				out = sortedLines(numbers.ReplaceAllString(out, ""))
			}
			reports[i] = out
		}
		require.Contains(t, reports[0], "GHSA-jfh8-c2jp-5v3q", format)
		require.Equal(t, reports[0], reports[1], format)
	}
	require.Contains(t, b.run("report", sbom), "EXPLOITED", "the enrichments are used there")

	// Importing the same again, in whatever way, changes nothing.
	before := b.operations()
	require.Equal(t, 4, strings.Count(b.run("import", file), ": unchanged"))
	require.Equal(t, before, b.operations())

	// A box that has the feeds itself continues from the imported state.
	own := newBox(t, "", demoFeeds(t))
	own.run("import", file)
	require.Equal(t, 4, strings.Count(own.run("update"), ": unchanged"))

	// A third box gets the same from the second, through a pipe.
	c := newBox(t, "", "")
	cmd := exec.Command(os.Args[0], "import", "-", "-c", c.config)
	cmd.Env, cmd.Stdin = []string{asProgram + "=1"}, strings.NewReader(b.run("export", "-"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, a.lines(), c.lines())
}

// sortedLines returns the lines of a text in order.
func sortedLines(text string) string {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '{' || r == '}' || r == '[' || r == ']' })
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

// A bundle that is older than the imported one changes nothing.
func TestBundle_Older(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	a, b := newBox(t, "", fmt.Sprintf("[[feed]]\nname='osv/Go'\nformat='osv'\nurl='file:%s'\n", feed)), newBox(t, "", "")
	var files [3]string
	for i := range files {
		files[i] = filepath.Join(t.TempDir(), "feeds.bundle")
		writeZip(t, feed, 30, 10, i)
		a.run("update")
		a.run("export", files[i])
	}
	require.Contains(t, b.run("import", files[1]), "30 added")
	newer := b.lines()
	require.Contains(t, b.run("import", files[0]), "osv/Go: older than what is here, skipped")
	require.Equal(t, newer, b.lines())
	require.Contains(t, b.run("import", files[2]), "10 added, 10 removed, 20 unchanged")
	require.Equal(t, a.lines(), b.lines())

	// A feed may be a file, wherever bundles are put.
	put := filepath.Join(t.TempDir(), "feeds.bundle")
	c := newBox(t, "", "[[feed]]\nname='carried'\nformat='bundle'\nurl='file:"+put+"'\n")
	require.Contains(t, c.refuse("update"), "1 of 1 feeds failed")
	for _, step := range []struct {
		file int
		says string
	}{{1, "30 added"}, {1, "unchanged"}, {0, "unchanged"}, {2, "10 added, 10 removed"}} {
		text, err := os.ReadFile(files[step.file])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(put, text, 0o600))
		require.Contains(t, c.run("update"), step.says)
	}
	require.Equal(t, a.lines(), c.lines())

	// The box with the feed in its configuration is newer than all of them.
	require.Contains(t, a.run("import", files[0]), "older than what is here")
	// A feed with the same name but another format is a different feed.
	other := newBox(t, "", "[[feed]]\nname='osv/Go'\nformat='alpine'\nurl='file:"+feed+"'\n")
	require.Contains(t, other.refuse("import", files[0]), `osv/Go is a feed of format "alpine" here, and one of format "osv" there`)
	require.Empty(t, other.operations())
}

// writeKeys writes a pair of keys as openssl does and returns their files.
func writeKeys(t *testing.T) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	require.NoError(t, err)
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key.pem"), filepath.Join(dir, "public.pem")
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	der, err = x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return private, public
}

// If there are trusted keys, a bundle that none of them signed is refused as a
// whole.
func TestBundle_Signed(t *testing.T) {
	private, public := writeKeys(t)
	otherPrivate, _ := writeKeys(t)
	dir := t.TempDir()
	plain, signed, other := filepath.Join(dir, "plain"), filepath.Join(dir, "signed"), filepath.Join(dir, "other")
	for file, key := range map[string]string{plain: "", signed: private, other: otherPrivate} {
		a := newBox(t, "[bundle]\nprivate_key = '"+key+"'\n", demoFeeds(t))
		a.run("update")
		a.run("export", file)
	}
	b := newBox(t, "[bundle]\npublic_keys = ['"+public+"']\n", "")
	require.Contains(t, b.refuse("import", plain), "not signed, but a signature is required")
	require.Contains(t, b.refuse("import", other), "its signature is not by a key that is trusted here")
	require.Contains(t, b.refuse("import", writeLines(t, 3)), "a signature is required here")
	require.Empty(t, b.operations())
	require.Equal(t, 4, strings.Count(b.run("import", signed), ": operation "))
	require.Equal(t, 4, strings.Count(newBox(t, "", "").run("import", signed), ": operation "), "who trusts no key takes any")

	bad := newBox(t, "[bundle]\npublic_keys = ['"+private+"']\n", "")
	require.Contains(t, bad.refuse("import", signed), `it has no PEM block of type "PUBLIC KEY"`)
	bad = newBox(t, "[bundle]\nprivate_key = '"+plain+"'\n", demoFeeds(t))
	bad.run("update")
	require.Contains(t, bad.refuse("export", filepath.Join(dir, "none")), `it has no PEM block of type "PRIVATE KEY"`)
	require.NoFileExists(t, filepath.Join(dir, "none"))
}

// writeLines writes a file as clairctl export-updaters does.
func writeLines(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"Updater":"osv/npm","Fingerprint":"v%d","Date":"2024-01-01T00:00:00Z","Ref":"11111111-1111-4111-8111-111111111111","Kind":"vulnerability","Vuln":{"id":"%d","updater":"osv/npm","name":"CVE-2024-%04d","description":"d","issued":"2024-01-01T00:00:00Z","links":"l","severity":"HIGH","normalized_severity":"High","package":{"id":"","name":"lodash","version":"","kind":"binary"},"repository":{"name":"npm"},"fixed_in_version":"fixed=9.0.%d"}}`+"\n", n, i, i, i)
	}
	for i := range n {
		fmt.Fprintf(&b, `{"Updater":"clair.epss","Fingerprint":"e%d","Date":"2024-01-01T00:00:00Z","Ref":"22222222-2222-4222-8222-222222222222","Kind":"enrichment","Enrichment":{"Tags":["CVE-2024-%04d"],"Enrichment":{"cve":"CVE-2024-%04d","epss":0.%d,"percentile":0.5,"modelVersion":"v","date":"2024-01-01"}}}`+"\n", n, i, i, i+1)
	}
	path := filepath.Join(t.TempDir(), "updates.json")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// Clair's own export can be imported, and its enrichments are used.
func TestImport_Clair(t *testing.T) {
	file, sbom := writeLines(t, 3), filepath.Join(t.TempDir(), "sbom.json")
	require.NoError(t, os.WriteFile(sbom, []byte(demoSBOM), 0o600))
	b := newBox(t, "", "")
	require.Equal(t, 2, strings.Count(b.run("import", file), ": operation "))
	require.Contains(t, b.run("report", sbom, "-f", "json"), `"epss":0.3`)
	require.Equal(t, 2, strings.Count(b.run("import", file), ": unchanged"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, cut := range map[string][]byte{"cut": text[:len(text)-20], "other": []byte("a text"), "empty": nil, "zip": []byte("PK\x03\x04")} {
		require.NoError(t, os.WriteFile(file, cut, 0o600))
		c := newBox(t, "", "")
		require.NotEmpty(t, c.refuse("import", file), name)
		require.Empty(t, c.operations(), name)
	}
}

func TestExport_Nothing(t *testing.T) {
	b := newBox(t, "", demoFeeds(t))
	require.Contains(t, b.refuse("export", "-"), "there is no database yet")
	code, _, errs := runOriel(t, "export", "-c", b.config)
	require.Equal(t, exitUsage, code, errs)
	code, _, errs = runOriel(t, "import", "x", "--server", "nothing", "-c", b.config)
	require.Equal(t, exitUsage, code, errs)
	require.NotEmpty(t, b.refuse("import", filepath.Join(t.TempDir(), "missing")))
	require.Contains(t, b.refuse("export", "-"), "no feed has data in")
}

// A process that is killed at any moment of an import leaves the previous
// state, and the next import completes.
func TestImport_Killed(t *testing.T) {
	dir := t.TempDir()
	var feeds strings.Builder
	for i := range 4 {
		feed := filepath.Join(dir, fmt.Sprint("all", i, ".zip"))
		writeZip(t, feed, 4000, 4000, i)
		fmt.Fprintf(&feeds, "[[feed]]\nname='osv/%d'\nformat='osv'\nurl='file:%s'\n", i, feed)
	}
	a, b := newBox(t, "", feeds.String()), newBox(t, "", "")
	a.run("update")
	file := filepath.Join(dir, "feeds.bundle")
	a.run("export", file)
	start := time.Now()
	newBox(t, "", "").run("import", file)
	whole := time.Since(start)
	for range *kills {
		cmd := exec.Command(os.Args[0], "import", file, "-c", b.config)
		cmd.Env = []string{asProgram + "=1"}
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rand.Int64N(int64(whole))))
		if cmd.Process.Kill() == nil {
			_ = cmd.Wait()
		}
		if _, err := os.Stat(b.db); err == nil {
			code, out, errs := runOriel(t, "check", "-c", b.config)
			require.Zero(t, code, "%s%s", out, errs)
		}
	}
	out := b.run("import", file)
	done := strings.Count(out, ": unchanged")
	require.Equal(t, 4, done+strings.Count(out, ": operation "), out)
	require.Equal(t, a.lines(), b.lines())
	t.Logf("%d of 4 feeds had been finished by killed imports", done)
}

// serveBox serves a box until the test ends and returns its address.
func (b box) serve() string {
	b.Helper()
	cfg, err := app.Load(b.config, nil, assets())
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	url, done := make(chan string, 1), make(chan error, 1)
	o := &oriel{stdout: io.Discard, stderr: io.Discard, configFile: b.config, assets: assets()}
	_, log, err := o.config()
	require.NoError(b, err)
	go func() {
		done <- app.Serve(ctx, cfg, assets(), log, func(_ context.Context, a *app.App) error { url <- a.URL(); return nil })
	}()
	b.Cleanup(func() {
		stop()
		require.NoError(b, <-done)
	})
	select {
	case u := <-url:
		return u
	case err := <-done:
		require.NoError(b, err)
		return ""
	}
}

// A server serves its bundle, conditionally, and imports one; another server
// mirrors it as a feed.
func TestBundle_Server(t *testing.T) {
	private, public := writeKeys(t)
	a := newBox(t, "[bundle]\nprivate_key = '"+private+"'\n", demoFeeds(t))
	a.run("update")
	url := a.serve() + "/matcher/api/v1/bundle"

	res, err := http.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "application/zstd", res.Header.Get("Content-Type"))
	require.Empty(t, res.Trailer.Get("Clair-Error"))
	bu, err := bundle.Open(t.Context(), bytes.NewReader(body), int64(len(body)))
	require.NoError(t, err)
	require.True(t, bu.Signed())
	require.Len(t, bu.States(), 4)
	file := filepath.Join(t.TempDir(), "feeds.bundle")
	a.run("export", file) // while the server runs
	exported, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, body, exported, "the same states make the same bundle")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("If-None-Match", res.Header.Get("Etag"))
	same, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, same.Body.Close())
	require.Equal(t, http.StatusNotModified, same.StatusCode)
	req.Header = http.Header{"Accept-Encoding": {"gzip"}}
	packed, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, packed.Body.Close())
	require.Empty(t, packed.Header.Get("Content-Encoding"), "it is compressed as it is")

	// Import into another server, with the command.
	b := newBox(t, "", "")
	far := b.serve()
	require.Equal(t, 4, strings.Count(b.run("import", file), ": operation "), "the server that owns the database takes it in")
	require.Equal(t, 4, strings.Count(b.run("import", file, "--server", far), ": unchanged"))
	require.Equal(t, a.lines(), b.lines())
	require.NoError(t, os.WriteFile(file, body[:len(body)-1], 0o600))
	require.Contains(t, b.refuse("import", file, "--server", far), "refuses: open the bundle: invalid: not a bundle, or damaged or truncated")

	// A bundle that is too large is refused on every way.
	small := newBox(t, "[bundle]\nmax_size = '1KiB'\n", "")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	require.Contains(t, small.refuse("import", file), "more than 1024 bytes")
	require.Contains(t, small.refuse("import", file, "--server", small.serve()), "more than 1024 bytes")
	require.Empty(t, small.operations())

	// As a feed. The key must be the right one.
	mirror := newBox(t, "", fmt.Sprintf("[[feed]]\nname='box'\nformat='bundle'\nurl='%s'\npublic_key='%s'\n", url, public))
	require.Contains(t, mirror.run("update"), "box: the/osv: operation")
	require.Equal(t, a.lines(), mirror.lines())
	before := mirror.operations()
	require.Contains(t, mirror.run("update"), "box: unchanged")
	require.Equal(t, before, mirror.operations())
	_, other := writeKeys(t)
	mirror = newBox(t, "", fmt.Sprintf("[[feed]]\nname='box'\nformat='bundle'\nurl='%s'\npublic_key='%s'\n", url, other))
	require.Contains(t, mirror.refuse("update"), "1 of 1 feeds failed")
	require.Empty(t, mirror.operations())
}
