package scanner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/clair"
	"oriel/internal/client"
	"oriel/internal/distro"
	"oriel/internal/quantity"
	"oriel/match"
	"oriel/scanner"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshots adapts a store to patches.Source, as package app does.
type snapshots struct{ db *store.DB }

func (s snapshots) Snapshot(ctx context.Context) (patches.Snapshot, error) {
	snap, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// newStore returns a database with rows for a distribution and a language.
func newStore(t *testing.T, rows int) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	release, _ := distro.ReleaseByName("debian:12")
	_, err := db.UpdateVulnerabilities(t.Context(), "feed", "", func(yield func(*clair.Vulnerability, error) bool) {
		for i := range rows {
			v := &clair.Vulnerability{
				Name: fmt.Sprint("CVE-", i), Description: strings.Repeat("word ", 50), NormalizedSeverity: clair.High,
				Package: &clair.Package{Name: fmt.Sprint("pkg-", i%100), Kind: clair.Source}, Dist: release.Distribution(), FixedInVersion: fmt.Sprint(i%5, ".0"),
			}
			if i%2 == 0 {
				v.Package.Kind, v.Dist, v.Repo = clair.Binary, nil, &clair.Repository{Name: "go"}
				v.FixedInVersion = clair.Bounds{Fixed: fmt.Sprint("v", i%5, ".0.0")}.String()
			}
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	return db
}

// host returns a report with packages of both, and of a distribution without
// vulnerabilities.
func host() *clair.IndexReport {
	release, _ := distro.ReleaseByName("debian:12")
	fedora, _ := distro.ReleaseByName("fedora:40")
	r := &clair.IndexReport{
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{"d": release.Distribution(), "f": fedora.Distribution()},
		Repositories:  map[string]*clair.Repository{"r": {Name: "go"}},
	}
	for i := range 20 {
		id := fmt.Sprint(i)
		r.Packages[id] = &clair.Package{ID: id, Name: "pkg-" + id, Version: "v2.5.0", Kind: clair.Binary}
		env := clair.Environment{RepositoryIDs: []string{"r"}}
		if i%2 == 1 {
			r.Packages[id].Version = "2.5"
			r.Packages[id].Source = &clair.Package{Name: "pkg-" + id, Kind: clair.Source}
			env = clair.Environment{DistributionID: "d"}
		}
		r.Environments[id] = []clair.Environment{env}
	}
	r.Packages["f"] = &clair.Package{ID: "f", Name: "bash", Version: "1"}
	r.Environments["f"] = []clair.Environment{{DistributionID: "f"}}
	return r
}

// daemon is a server that keeps its address when it is restarted.
type daemon struct {
	t       *testing.T
	db      *store.DB
	cfg     window.Config
	address string
	stop    func()
	windows *patches.Service
}

func newDaemon(t *testing.T, db *store.DB, change func(*window.Config)) *daemon {
	t.Helper()
	d := &daemon{t: t, db: db, cfg: window.Default(), address: "127.0.0.1:0"}
	d.cfg.PaneRows, d.cfg.PageRows = 100, 16
	if change != nil {
		change(&d.cfg)
	}
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *daemon) start() {
	l, err := net.Listen("tcp", d.address)
	require.NoError(d.t, err)
	d.address = l.Addr().String()
	log := slog.New(slog.DiscardHandler)
	d.windows = patches.New(d.cfg, snapshots{d.db}, nil, log)
	srv := httptest.NewUnstartedServer(server.New(server.Options{Patches: d.windows, Log: log}))
	require.NoError(d.t, srv.Listener.Close())
	srv.Listener = l
	srv.Start()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.windows.Run(ctx) }()
	d.stop = func() {
		stop()
		require.NoError(d.t, <-done)
		srv.CloseClientConnections()
		srv.Close()
	}
}

// newClient returns a client that sends its requests through a transport.
func newClient(t *testing.T, url, token string, transport http.RoundTripper) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{URL: url, Token: token, Transport: transport})
	require.NoError(t, err)
	return c
}

// scan scans the host through a transport, and requires the findings of the
// server's own report.
func (d *daemon) scan(t http.RoundTripper, want *match.Result) *scanner.Result {
	d.t.Helper()
	s := scanner.New(scanner.Options{Server: newClient(d.t, "http://"+d.address, "", t), GiveUp: 20 * time.Second})
	got, err := s.Scan(d.t.Context(), host())
	require.NoError(d.t, err)
	require.NotEmpty(d.t, want.Report.PackageVulnerabilities)
	require.Equal(d.t, want.Report.PackageVulnerabilities, got.Report.PackageVulnerabilities)
	require.Equal(d.t, want.Why, got.Why)
	require.Equal(d.t, []scanner.Unknown{{Platform: "fedora:40"}}, got.Unknown)
	return got
}

func newTransport(t *testing.T) *http.Transport {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// roundTripper adapts a function to http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// cut is a body that fails after some bytes.
type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("connection reset")
	}
	n, err := c.ReadCloser.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// TestScan_Faults drops and truncates requests and responses, and injects
// errors.
func TestScan_Faults(t *testing.T) {
	db := newStore(t, 1000)
	want, err := match.Report(t.Context(), db, host())
	require.NoError(t, err)
	// A session whose id was lost delays the others for that long.
	d := newDaemon(t, db, func(c *window.Config) { c.SessionTimeout = quantity.Duration(time.Second) })
	real := newTransport(t)
	require.Equal(t, 1000, d.scan(real, want).Rows)
	var faults atomic.Int64
	got := d.scan(roundTripper(func(r *http.Request) (*http.Response, error) {
		kind := rand.IntN(16)
		if kind < 4 {
			faults.Add(1)
		}
		switch kind {
		case 0:
			return nil, errors.New("no route to host")
		case 1:
			return &http.Response{StatusCode: http.StatusBadGateway, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
		}
		res, err := real.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		switch kind {
		case 2:
			_ = res.Body.Close()
			return nil, errors.New("connection reset")
		case 3:
			res.Body = &cut{res.Body, rand.IntN(600)}
		}
		return res, nil
	}), want)
	require.Equal(t, 1000, got.Rows)
	require.NotZero(t, faults.Load())
}

// TestScan_ServerRestarts restarts the server in the middle of a pass.
func TestScan_ServerRestarts(t *testing.T) {
	db := newStore(t, 2000)
	want, err := match.Report(t.Context(), db, host())
	require.NoError(t, err)
	d := newDaemon(t, db, nil)
	real := newTransport(t)
	var pages atomic.Int64
	var restart sync.Once
	got := d.scan(roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/vulnerabilities") && pages.Add(1) == 20 {
			restart.Do(func() {
				d.stop()
				d.start()
			})
		}
		return real.RoundTrip(r)
	}), want)
	require.Equal(t, 2000, got.Rows, "rows from before the restart are not counted")
	require.Greater(t, pages.Load(), int64(2000/16+20))
}

// TestScan_ScannerRestarts stops a scan in the middle. If it ends orderly, it
// does not delay others; if it disappears, it delays them for a bounded time.
func TestScan_ScannerRestarts(t *testing.T) {
	db := newStore(t, 1000)
	want, err := match.Report(t.Context(), db, host())
	require.NoError(t, err)
	d := newDaemon(t, db, func(c *window.Config) { c.MaxActive, c.SessionTimeout = 1, quantity.Duration(2*time.Second) })
	real := newTransport(t)
	for _, orderly := range []bool{true, false} {
		ctx, stop := context.WithCancel(t.Context())
		var pages, left atomic.Int64
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodDelete {
				left.Add(1)
				if !orderly {
					return nil, errors.New("killed")
				}
			}
			if strings.HasSuffix(r.URL.Path, "/vulnerabilities") && pages.Add(1) == 8 {
				stop()
			}
			return real.RoundTrip(r)
		})
		s := scanner.New(scanner.Options{Server: newClient(t, "http://"+d.address, "", transport)})
		_, err = s.Scan(ctx, host())
		require.ErrorIs(t, err, context.Canceled)
		require.NotZero(t, left.Load())
		stop()
		require.Equal(t, 1000, d.scan(real, want).Rows)
	}
}

func TestScan_Refuses(t *testing.T) {
	answer := func(status int, body string, header ...string) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) {
			h := http.Header{}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
	}
	for _, c := range []struct {
		name      string
		transport http.RoundTripper
		says      string
	}{
		{"unauthorized", answer(401, ""), "401"},
		{"not_oriel", answer(404, "<html>"), "404"},
		{"garbage", answer(200, "<html>"), "cannot be read"},
		{"wrong_type", answer(200, `{"platforms":7}`), "cannot be read"},
		{"overloaded_for_ever", answer(503, `{"code":"unavailable","message":"busy"}`), "gave up"},
		{"truncated_gzip", answer(200, "\x1f\x8b", "Content-Encoding", "gzip"), "gave up"},
		{"truncated_zstd", answer(200, "\x28\xb5\x2f\xfd", "Content-Encoding", "zstd"), "gave up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scanner.New(scanner.Options{Server: newClient(t, "http://127.0.0.1:1", "", c.transport), GiveUp: time.Nanosecond})
			_, err := s.Scan(t.Context(), host())
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A scanner sends its token, and rejects a page without the session's state.
func TestScan_Token(t *testing.T) {
	var sent []string
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Authorization"))
		body, status := `{"platforms":[]}`, http.StatusOK
		if r.Method == http.MethodPost {
			body, status = `{"id":"1","state":"active"}`, http.StatusCreated
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body)))}, nil
	})
	s := scanner.New(scanner.Options{Server: newClient(t, "http://127.0.0.1:1/", "abc", transport)})
	release, _ := distro.ReleaseByName("debian:12")
	_, err := s.Scan(t.Context(), &clair.IndexReport{
		Packages:      map[string]*clair.Package{"1": {ID: "1", Name: "p"}},
		Environments:  map[string][]clair.Environment{"1": {{DistributionID: "d"}}},
		Distributions: map[string]*clair.Distribution{"d": release.Distribution()},
	})
	require.ErrorContains(t, err, "cannot be read")
	require.Equal(t, []string{"Bearer abc", "Bearer abc", "Bearer abc"}, sent)
}
