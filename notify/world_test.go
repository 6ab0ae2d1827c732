package notify_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/clair"
	"oriel/notify"
	"oriel/store"
	"oriel/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs a test in a bubble of its own time, with a world.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

// world is a real database, with a notifier if one was started.
type world struct {
	*testing.T
	path string
	net  *network
	db   *store.DB
	stop func()
	made int // by set
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T:    t,
		net:  &network{},
		path: filepath.Join(t.TempDir(), "oriel.db"),
		stop: func() {},
	}
	w.open()
	t.Cleanup(func() {
		w.stop()
		require.NoError(t, w.db.Close())
	})
	return w
}

func (w *world) open() {
	w.Helper()
	var err error
	w.db, err = store.Open(context.Background(), w.path, store.Options{Schema: storetest.Schema(w)})
	require.NoError(w, err)
}

// reopen is a restart without a notifier.
func (w *world) reopen() {
	w.Helper()
	w.stop()
	w.stop = func() {}
	require.NoError(w, w.db.Close())
	w.open()
}

// config returns the default for some webhooks.
func config(hooks ...notify.Webhook) notify.Config {
	c := notify.Default()
	c.Webhooks = hooks
	return c
}

const callbackBase = "http://oriel.test/notifier/api/v1/notification"

// start runs a notifier until the test ends or stop is called.
func (w *world) start(cfg notify.Config, change func(*notify.Options)) *notify.Notifier {
	w.Helper()
	o := notify.Options{
		Store:     w.db,
		Completed: w.db.Completed(),
		Callback:  callbackBase,
		UserAgent: "oriel/test",
		Dial:      w.net.dial,
		Log:       slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	n, err := notify.New(cfg, o)
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.stop = func() {
		cancel()
		require.NoError(w, <-done)
		w.stop = func() {}
	}
	return n
}

// vuln returns a row about a Go module, affected before the fixed version.
func vuln(name, pkg, fixed string, severity clair.Severity) *clair.Vulnerability {
	v := &clair.Vulnerability{
		Name:               name,
		Description:        "about " + name,
		Links:              "https://example.test/" + name,
		Severity:           severity.String(),
		NormalizedSeverity: severity,
		Package:            &clair.Package{Name: pkg, Kind: clair.Binary},
		Repo:               &clair.Repository{Name: "go", URI: "https://pkg.go.dev/"},
	}
	if fixed != "" {
		v.FixedInVersion = clair.Bounds{Fixed: fixed}.String()
	}
	return v
}

// update makes an operation of some rows.
func (w *world) update(updater string, rows ...*clair.Vulnerability) clair.UpdateResult {
	w.Helper()
	return w.updateAs(updater, "fp", rows...)
}

// updateAs makes an operation of some rows with a fingerprint.
func (w *world) updateAs(updater string, fp clair.Fingerprint, rows ...*clair.Vulnerability) clair.UpdateResult {
	w.Helper()
	var all iter.Seq2[*clair.Vulnerability, error] = func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range rows {
			if !yield(v, nil) {
				return
			}
		}
	}
	res, err := w.db.UpdateVulnerabilities(context.Background(), updater, fp, all)
	require.NoError(w, err)
	return res
}

func digest(i int) clair.Digest { return clair.Digest(fmt.Sprintf("sha256:%064x", i)) }

// index stores a manifest of Go modules, in pairs of name and version.
func (w *world) index(m clair.Digest, packages ...string) {
	w.Helper()
	r := &clair.IndexReport{
		Hash:          m,
		State:         clair.StateIndexFinished,
		Success:       true,
		Packages:      map[string]*clair.Package{},
		Distributions: map[string]*clair.Distribution{},
		Repositories:  map[string]*clair.Repository{"1": {ID: "1", Name: "go", URI: "https://pkg.go.dev/"}},
		Environments:  map[string][]clair.Environment{},
	}
	for i := 0; i < len(packages); i += 2 {
		id := fmt.Sprint(i)
		r.Packages[id] = &clair.Package{
			ID:      id,
			Name:    packages[i],
			Version: packages[i+1],
			Kind:    clair.Binary,
		}
		r.Environments[id] = []clair.Environment{{PackageDB: "x", IntroducedIn: m, RepositoryIDs: []string{"1"}}}
	}
	_, err := w.db.PutIndexReport(context.Background(), r)
	require.NoError(w, err)
}

// sets lists all notifications, oldest first.
func (w *world) sets() []clair.NotificationSet {
	w.Helper()
	list, err := w.db.Notifications(context.Background(), uuid.Nil, 10_000)
	require.NoError(w, err)
	var out []clair.NotificationSet
	for i := range list {
		out = append(out, list[len(list)-1-i])
	}
	return out
}

// rows reads a view of a set page by page.
func (w *world) rows(id uuid.UUID, view string) []clair.Notification {
	w.Helper()
	var out []clair.Notification
	for next := uuid.Nil; ; {
		page, err := w.db.NotificationPage(context.Background(), id, view, next, 2)
		require.NoError(w, err)
		out = append(out, page.Notifications...)
		if next = page.Next; next == uuid.Nil {
			return out
		}
	}
}

// said returns rows in a short form: the change, the advisory, the place.
func said(rows []clair.Notification) []string {
	out := []string{}
	for _, n := range rows {
		s := fmt.Sprintf("%s %s %s@%s %s", n.Reason, n.Vulnerability.Name, n.Vulnerability.Package.Name, n.Version, n.Manifest[len(n.Manifest)-2:])
		if n.Previous != nil {
			s += fmt.Sprintf(" was %v %s", n.Previous.NormalizedSeverity, n.Previous.Fix())
		}
		out = append(out, s)
	}
	return out
}

// planned waits until nothing happens any more at this moment: operations are
// planned, and deliveries that are due have been attempted.
func (w *world) planned() {
	w.Helper()
	synctest.Wait()
	_, more, err := w.db.NextOperation(context.Background())
	require.NoError(w, err)
	require.False(w, more)
}

// after lets some time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}
