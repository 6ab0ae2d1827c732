package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
)

// notifyKills is how often TestNotify_Killed kills the process.
var notifyKills = flag.Int("notify-kills", 4, "how often TestNotify_Killed kills the process")

const (
	feedAdvisories = 2000
	feedPackages   = 100
)

// fixedIn returns the version in which an advisory of a feed's version is
// fixed; 0 means never, and a negative one that the feed does not have the
// advisory. From one version of the feed to the next about a tenth differ.
func fixedIn(feed, advisory int) int {
	last := feed
	for last > 0 && rand.New(rand.NewPCG(uint64(last), uint64(advisory))).IntN(10) > 0 {
		last--
	}
	return rand.New(rand.NewPCG(uint64(last)+1000, uint64(advisory))).IntN(8) - 1
}

// writeFeed writes a version of the feed, which names its version in an
// advisory that affects nothing.
func writeFeed(t *testing.T, path string, version int) {
	t.Helper()
	f, err := os.Create(path + ".new")
	require.NoError(t, err)
	w := zip.NewWriter(f)
	add := func(id, pkg, fixed string) {
		e, err := w.Create(id + ".json")
		require.NoError(t, err)
		events := `{"introduced":"0"}`
		if fixed != "" {
			events += fmt.Sprintf(`,{"fixed":%q}`, fixed)
		}
		_, err = fmt.Fprintf(e, `{"id":%q,"modified":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":%q},
			"ranges":[{"type":"SEMVER","events":[%s]}]}]}`, id, pkg, events)
		require.NoError(t, err)
	}
	add(fmt.Sprintf("GO-VERSION-%d", version), "example.test/nobody", "")
	for i := range feedAdvisories {
		switch fixed := fixedIn(version, i); {
		case fixed == 0:
			add(fmt.Sprintf("GO-%d", i), packageOf(i), "")
		case fixed > 0:
			add(fmt.Sprintf("GO-%d", i), packageOf(i), fmt.Sprintf("1.%d.0", fixed))
		}
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	require.NoError(t, os.Rename(path+".new", path))
}

func packageOf(advisory int) string { return fmt.Sprintf("example.test/p%d", advisory%feedPackages) }

// inventory are the manifests: packages with their minor versions.
func inventory() map[clair.Digest]map[string]int {
	out := map[clair.Digest]map[string]int{}
	for m := range 20 {
		r := rand.New(rand.NewPCG(3, uint64(m)))
		packages := map[string]int{}
		for range 20 {
			packages[packageOf(r.IntN(feedPackages))] = r.IntN(8)
		}
		out[clair.Digest(fmt.Sprintf("sha256:%064x", m+1))] = packages
	}
	return out
}

func putInventory(t *testing.T, db *store.DB) {
	t.Helper()
	for m, packages := range inventory() {
		r := &clair.IndexReport{
			Hash: m, State: clair.StateIndexFinished, Success: true, Packages: map[string]*clair.Package{}, Distributions: map[string]*clair.Distribution{},
			Repositories: map[string]*clair.Repository{"1": {ID: "1", Name: "go", URI: "https://pkg.go.dev/"}}, Environments: map[string][]clair.Environment{},
		}
		for name, minor := range packages {
			r.Packages[name] = &clair.Package{ID: name, Name: name, Version: fmt.Sprintf("v1.%d.0", minor), Kind: clair.Binary}
			r.Environments[name] = []clair.Environment{{PackageDB: "x", IntroducedIn: m, RepositoryIDs: []string{"1"}}}
		}
		_, err := db.PutIndexReport(t.Context(), r)
		require.NoError(t, err)
	}
}

// affectedBy is the naive answer: which packages a version of the feed
// affects, and where each is fixed.
func affectedBy(version int) map[string]int {
	out := map[string]int{}
	for m, packages := range inventory() {
		for i := range feedAdvisories {
			minor, held := packages[packageOf(i)]
			if !held {
				continue
			}
			if fixed := fixedIn(version, i); fixed == 0 || minor < fixed {
				out[fmt.Sprintf("GO-%d %s", i, m)] = fixed
			}
		}
	}
	return out
}

func differences(before, after map[string]int) []string {
	var out []string
	for key, fixed := range after {
		if was, known := before[key]; !known {
			out = append(out, "added "+key)
		} else if was != fixed {
			out = append(out, "changed "+key)
		}
	}
	for key := range before {
		if _, still := after[key]; !still {
			out = append(out, "removed "+key)
		}
	}
	slices.Sort(out)
	return out
}

// unreliable is a receiver that fails at random. It has read completely
// whatever it accepts.
type unreliable struct {
	mu       sync.Mutex
	r        *rand.Rand
	failed   int
	received map[uuid.UUID][][]string // what each delivery of a set said
}

func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var d struct {
		ID       uuid.UUID `json:"notification_id"`
		Callback string
	}
	err := json.NewDecoder(r.Body).Decode(&d)
	u.mu.Lock()
	dice := u.r.IntN(10)
	u.mu.Unlock()
	var rows []string
	if err == nil && dice > 4 {
		rows, err = readNotification(r.Context(), d.Callback)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err != nil || dice <= 2:
		u.failed++
		w.WriteHeader(http.StatusInternalServerError)
	case dice <= 4:
		u.failed++
		panic(http.ErrAbortHandler) // hangs up
	default:
		u.received[d.ID] = append(u.received[d.ID], rows)
	}
}

// deliveries returns the number of accepted deliveries.
func (u *unreliable) deliveries() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, list := range u.received {
		n += len(list)
	}
	return n
}

// readNotification reads a notification to its end, in the model's words.
func readNotification(ctx context.Context, callback string) ([]string, error) {
	var out []string
	for next := ""; ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, callback+"?page_size=100&next="+next, nil)
		if err != nil {
			return nil, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		var page struct {
			Page          struct{ Next string }
			Notifications []struct {
				Manifest, Reason string
				Vulnerability    struct{ Name string }
			}
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("read %s: %s: %w", callback, res.Status, err)
		}
		for _, n := range page.Notifications {
			out = append(out, fmt.Sprintf("%s %s %s", n.Reason, n.Vulnerability.Name, n.Manifest))
		}
		if next = page.Page.Next; next == "" {
			slices.Sort(out)
			return out, nil
		}
	}
}

// notifyConfig writes a configuration with the feed and a webhook.
func notifyConfig(t *testing.T, feed, hook string) (config, db string) {
	t.Helper()
	config, db = writeConfig(t, "osv/Go", feed)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	more := strings.Replace(string(text), "[updater]\n", "[updater]\nkeep = 1000\n", 1) +
		fmt.Sprintf("[notify]\nsummary = false\nretry_min = '5ms'\nretry_max = '50ms'\n[[notify.webhook]]\nname = 'test'\nurl = '%s'\n", hook)
	require.NoError(t, os.WriteFile(config, []byte(more), 0o600))
	return config, db
}

// progress returns how far a database has got.
func notifyProgress(t *testing.T, path string) (operations, sets, undelivered int) {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	list, err := db.Notifications(t.Context(), uuid.Nil, 10_000)
	require.NoError(t, err)
	for _, s := range list {
		if s.Receipts[0].Status != clair.ReceiptDelivered {
			undelivered++
		}
	}
	return len(ops["osv/Go"]), len(list), undelivered
}

// A process that is killed at any moment between an update and its delivery
// loses nothing and announces no operation under two ids, although the
// receiver fails at random, too.
func TestNotify_Killed(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	rc := &unreliable{r: rand.New(rand.NewPCG(1, 2)), received: map[uuid.UUID][][]string{}}
	srv := httptest.NewServer(rc)
	defer srv.Close()
	config, path := notifyConfig(t, feed, srv.URL)
	writeFeed(t, feed, 0)
	code, _, errs := runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	db, err := store.Open(t.Context(), path, store.Options{})
	require.NoError(t, err)
	putInventory(t, db)
	require.NoError(t, db.Close())

	version := 0
	serve := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "serve", "-c", config)
		cmd.Env = []string{asProgram + "=1"}
		require.NoError(t, cmd.Start())
		return cmd
	}
	reader, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer reader.Close()
	// completed waits for an operation other than the last.
	completed := func(last uuid.UUID) {
		require.Eventually(t, func() bool {
			ref, err := reader.GetLatestUpdateRef(t.Context(), clair.KindVulnerability)
			return err == nil && ref != last
		}, 2*time.Minute, time.Millisecond)
	}
	// made waits for one more notification.
	made := func(before int) {
		require.Eventually(t, func() bool {
			list, err := reader.Notifications(t.Context(), uuid.Nil, before+1)
			return err == nil && len(list) > before
		}, 2*time.Minute, time.Millisecond)
	}
	// whole serves until everything is delivered, and returns how long that
	// took since the operation.
	whole := func(want int) time.Duration {
		last, err := reader.GetLatestUpdateRef(t.Context(), clair.KindVulnerability)
		require.NoError(t, err)
		cmd := serve()
		completed(last)
		start := time.Now()
		require.Eventually(t, func() bool {
			ops, sets, undelivered := notifyProgress(t, path)
			return ops == want && sets == ops-1 && undelivered == 0
		}, 2*time.Minute, 5*time.Millisecond)
		took := time.Since(start)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		return took
	}
	version++
	writeFeed(t, feed, version)
	took := whole(2)

	tally, times := map[string]int{}, *notifyKills
	if testing.Short() {
		times = 1
	}
	for range times {
		version++
		writeFeed(t, feed, version)
		before, sets, _ := notifyProgress(t, path)
		last, err := reader.GetLatestUpdateRef(t.Context(), clair.KindVulnerability)
		require.NoError(t, err)
		cmd := serve()
		switch n := rand.IntN(10); {
		case n > 4:
			made(sets)
		case n > 0:
			completed(last)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(took))))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		ops, sets, undelivered := notifyProgress(t, path)
		switch {
		case ops == before:
			tally["before the operation"]++
		case sets < ops-1:
			tally["before the notification was complete"]++
		case undelivered > 0:
			tally["before it was delivered"]++
		default:
			tally["after it was delivered"]++
		}
	}
	version++
	writeFeed(t, feed, version)
	ops, _, _ := notifyProgress(t, path)
	whole(ops + 1)

	t.Logf("killed %d times within %v: %v", times, took.Round(time.Millisecond), tally)
	checkNotifications(t, path, rc)
}

// checkNotifications compares the received notifications with the naive
// answer, operation by operation.
func checkNotifications(t *testing.T, path string, rc *unreliable) {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	all, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	list, err := db.Notifications(t.Context(), uuid.Nil, 10_000)
	require.NoError(t, err)
	byOperation := map[uuid.UUID]uuid.UUID{}
	for _, s := range list {
		require.NotContains(t, byOperation, s.Operation)
		byOperation[s.Operation] = s.ID
	}
	ops := all["osv/Go"]
	slices.Reverse(ops)
	last, rows, deliveries := affectedBy(versionOf(t, db, ops[0])), 0, 0
	for _, op := range ops[1:] {
		now := affectedBy(versionOf(t, db, op))
		want := differences(last, now)
		received := rc.received[byOperation[op.Ref]]
		require.NotEmpty(t, received, "operation %s was told of", op.Ref)
		for _, got := range received {
			require.Equal(t, want, got)
		}
		last, rows, deliveries = now, rows+len(want), deliveries+len(received)
	}
	require.Len(t, rc.received, len(ops)-1, "one id for each operation")
	t.Logf("%d operations, as many notifications, %d rows, received %d times in all; %d deliveries failed", len(ops)-1, rows, deliveries, rc.failed)
}

// versionOf returns the version of the feed that an operation has.
func versionOf(t *testing.T, db *store.DB, op clair.UpdateOperation) (version int) {
	t.Helper()
	d, err := db.GetUpdateDiff(t.Context(), uuid.Nil, op.Ref)
	require.NoError(t, err)
	defer d.Close()
	version = -1
	for v, err := range d.Added {
		require.NoError(t, err)
		if n, ok := strings.CutPrefix(v.Name, "GO-VERSION-"); ok {
			_, err := fmt.Sscan(n, &version)
			require.NoError(t, err)
		}
	}
	require.GreaterOrEqual(t, version, 0)
	return version
}

func TestNotifications(t *testing.T) {
	feed := filepath.Join(t.TempDir(), "all.zip")
	rc := &unreliable{r: rand.New(rand.NewPCG(1, 2)), received: map[uuid.UUID][][]string{}}
	srv := httptest.NewServer(rc)
	defer srv.Close()
	config, path := notifyConfig(t, feed, srv.URL)
	code, _, errs := runOriel(t, "notifications", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `run "oriel update" first`)
	code, _, errs = runOriel(t, "changes", "-c", config)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, `run "oriel update" first`)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	text = bytes.Replace(text, []byte("127.0.0.1:0"), []byte(l.Addr().String()), 1)
	require.NoError(t, os.WriteFile(config, text, 0o600))
	require.NoError(t, l.Close())

	writeFeed(t, feed, 0)
	code, _, errs = runOriel(t, "update", "-c", config)
	require.Zero(t, code, errs)
	db, err := store.Open(t.Context(), path, store.Options{})
	require.NoError(t, err)
	putInventory(t, db)
	require.NoError(t, db.Close())
	writeFeed(t, feed, 1)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	var said strings.Builder
	go func() { done <- Run(ctx, []string{"serve", "-c", config}, io.Discard, &said, assets()) }()
	require.Eventually(t, func() bool {
		_, sets, undelivered := notifyProgress(t, path)
		return sets == 1 && undelivered == 0
	}, time.Minute, 10*time.Millisecond)
	code, out, errs := runOriel(t, "notifications", "-c", config)
	require.Zero(t, code, errs)
	require.Regexp(t, `osv/Go +\d+ +test +delivered +\d+ +-`, out)
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	before := rc.deliveries()
	code, out, errs = runOriel(t, "notifications", "-c", config, "--redeliver", id, "--webhook", "test")
	require.Zero(t, code, errs)
	require.Contains(t, out, "is being delivered again")
	require.Eventually(t, func() bool { return rc.deliveries() > before }, time.Minute, 10*time.Millisecond)
	code, _, errs = runOriel(t, "notifications", "-c", config, "--redeliver", id, "--webhook", "nobody")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "redeliver notification "+id+": no webhook is to be told of it")
	stop()
	require.Zero(t, <-done, said.String())

	code, out, errs = runOriel(t, "notifications", "-c", config, "--redeliver", id)
	require.Zero(t, code, errs)
	require.Contains(t, out, "when the server runs")
	code, out, _ = runOriel(t, "notifications", "-c", config)
	require.Zero(t, code)
	require.Regexp(t, `test +created +0`, out)
	code, _, errs = runOriel(t, "notifications", "-c", config, "--redeliver", uuid.NewString())
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "not found")
	code, _, _ = runOriel(t, "notifications", "-c", config, "--redeliver", "x")
	require.Equal(t, exitUsage, code)

	want := differences(affectedBy(0), affectedBy(1))
	code, out, errs = runOriel(t, "changes", "-c", config, "--since", "1h", "-f", "json")
	require.Zero(t, code)
	require.Contains(t, errs, "no operation of osv/Go is that old")
	var got []string
	for line := range strings.Lines(out) {
		var n struct {
			Manifest, Reason string
			Vulnerability    struct{ Name string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &n))
		got = append(got, fmt.Sprintf("%s %s %s", n.Reason, n.Vulnerability.Name, n.Manifest))
	}
	slices.Sort(got)
	require.Equal(t, want, got)
	code, out, _ = runOriel(t, "changes", "-c", config, "--since", "1h", "--manifest", fmt.Sprintf("sha256:%064x", 1))
	require.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	of := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return !strings.HasSuffix(s, fmt.Sprintf("%064x", 1)) })
	require.Len(t, lines, 1+len(of))
	for _, args := range [][]string{{"--since", "x"}, {"--manifest", "x"}, {"-f", "x"}} {
		code, _, _ = runOriel(t, append([]string{"changes", "-c", config}, args...)...)
		require.Equal(t, exitUsage, code)
	}
}
