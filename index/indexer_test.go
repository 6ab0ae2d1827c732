package index

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/quantity"
)

// memory is a store for tests of the states; the real one is tested with the
// real database.
type memory struct {
	mu      sync.Mutex
	reports map[clair.Digest]*clair.IndexReport
	states  []string
	layers  map[string][]byte
}

func newMemory() *memory {
	return &memory{reports: map[clair.Digest]*clair.IndexReport{}, layers: map[string][]byte{}}
}

func (m *memory) FinishedReport(_ context.Context, hash clair.Digest, _ string) (*clair.IndexReport, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.reports[hash]; r != nil && r.State == clair.StateIndexFinished {
		return r, nil
	}
	return nil, clair.ErrNotFound
}

func (m *memory) PutManifest(context.Context, *clair.Manifest) error { return nil }

func (m *memory) LayerResult(_ context.Context, layer clair.Digest, state string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.layers[string(layer)+state]; b != nil {
		return b, nil
	}
	return nil, clair.ErrNotFound
}

func (m *memory) PutLayerResult(_ context.Context, layer clair.Digest, state string, result []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.layers[string(layer)+state] = result
	return nil
}

func (m *memory) PutReport(ctx context.Context, r *clair.IndexReport, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[r.Hash] = r
	m.states = append(m.states, r.State)
	return ctx.Err()
}

func digest(b []byte) clair.Digest { return clair.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(b))) }

// rig is an indexer with a server of layers.
type rig struct {
	*Indexer
	store   *memory
	fetcher *Fetcher
	url     string
}

func newRig(t *testing.T, h http.Handler, change func(*Config)) *rig {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg := Default()
	cfg.AllowPrivate = true
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.Validate())
	f := NewFetcher(cfg, t.TempDir())
	t.Cleanup(f.CloseIdleConnections)
	m := newMemory()
	return &rig{NewIndexer(cfg, m, f, slog.New(slog.DiscardHandler)), m, f, srv.URL}
}

func bytesHandler(b []byte, contentType string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		_, _ = w.Write(b)
	})
}

// layerHandler serves each layer at its digest.
func layerHandler(layers [][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		for _, l := range layers {
			if q.URL.Path == "/"+string(digest(l)) {
				_, _ = w.Write(l)
			}
		}
	})
}

func (r *rig) manifest(layer []byte) *clair.Manifest {
	return &clair.Manifest{Hash: digest(append([]byte("m"), layer...)), Layers: []clair.Layer{{Hash: digest(layer), URI: r.url}}}
}

func TestIndexer_States(t *testing.T) {
	layer := gzipped(t, makeTar(t, everything(t)...))
	var asked atomic.Int32
	gate := make(chan struct{})
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-gate
		_, _ = w.Write(layer)
	}), nil)
	m := r.manifest(layer)
	other := *m
	other.Hash = digest([]byte("other"))
	var wg sync.WaitGroup
	reports := make([]*clair.IndexReport, 21)
	for i := range reports {
		wg.Go(func() {
			one := m
			if i == 20 {
				one = &other // which shares the layer
			}
			var err error
			reports[i], err = r.Index(t.Context(), one)
			require.NoError(t, err)
		})
	}
	time.AfterFunc(20*time.Millisecond, func() { close(gate) })
	wg.Wait()
	require.EqualValues(t, 1, asked.Load())
	checkReport(t, reports[0])
	require.Equal(t, reports[0], reports[19])
	require.Equal(t, len(reports[0].Packages), len(reports[20].Packages))

	r.store.states = nil
	third := *m
	third.Hash = digest([]byte("third"))
	_, err := r.Index(t.Context(), &third)
	require.NoError(t, err)
	require.Equal(t, []string{clair.StateCheckManifest, clair.StateFetchLayers, clair.StateScanLayers, clair.StateCoalesce,
		clair.StateIndexManifest, clair.StateIndexFinished}, r.store.states)
	require.EqualValues(t, 1, asked.Load())
}

func TestIndexer_Failures(t *testing.T) {
	good := makeTar(t, entry{name: "etc/os-release", body: debianRelease})
	damaged := makeTar(t, entry{name: "var/lib/dpkg/status", body: "this is\nnot a database\n"})
	status := func(n int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) })
	}
	for _, c := range []struct {
		name    string
		layer   []byte
		handler http.Handler
		invalid bool
		text    string
		change  func(*Config)
	}{
		{"not found", good, status(404), false, "404", nil},
		{"unauthorized", good, status(401), false, "401", nil},
		{"partial", good, status(206), false, "206", nil},
		{"wrong digest", good, bytesHandler(damaged, ""), false, "digest", nil},
		{"wrong digest and no tar", good, bytesHandler([]byte("nonsense"), ""), false, "digest", nil},
		{"no tar", []byte("nonsense"), bytesHandler([]byte("nonsense"), ""), true, "tar", nil},
		{"damaged database", damaged, bytesHandler(damaged, ""), true, "var/lib/dpkg/status", nil},
		{"label of another compression", gzipped(t, good), bytesHandler(gzipped(t, good), "application/x-tar"), false, "compression", nil},
		{"label is another's", good, bytesHandler(good, "text/html"), false, "text/html", nil},
		{"too large", good, bytesHandler(good, ""), true, "max_layer_size", func(c *Config) { c.MaxLayerSize = 600 }},
		{"endless", good, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}), true, "max_layer_size", func(c *Config) { c.MaxLayerSize = 1 << 20 }},
		{"private", good, bytesHandler(good, ""), false, "allow_private", func(c *Config) { c.AllowPrivate = false }},
		{"scheme", good, bytesHandler(good, ""), false, "scheme", func(c *Config) { c.LayerSchemes = []string{"https"} }},
		{"redirect to a file", good, http.RedirectHandler("file:///etc/passwd", http.StatusFound), false, "scheme", func(c *Config) { c.LayerSchemes = []string{"http", "file"} }},
		{"redirect to ftp", good, http.RedirectHandler("ftp://localhost/x", http.StatusFound), false, "scheme", nil},
		{"redirect in circles", good, http.RedirectHandler("/", http.StatusFound), false, "redirect", nil},
		{"cut off", good, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = w.Write(good[:700])
		}), false, "broke off", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.handler, c.change)
			m := r.manifest(c.layer)
			report, err := r.Index(t.Context(), m)
			require.ErrorContains(t, err, c.text)
			if c.invalid {
				require.ErrorIs(t, err, clair.ErrInvalid)
			} else {
				require.ErrorIs(t, err, ErrLayer)
				for _, kind := range []error{clair.ErrInvalid, clair.ErrNotFound, clair.ErrTooLarge} {
					require.NotErrorIs(t, err, kind)
				}
			}
			require.Equal(t, clair.StateIndexError, report.State)
			require.False(t, report.Success)
			require.NotEmpty(t, report.Err)
			require.Equal(t, report, r.store.reports[m.Hash])
			require.Empty(t, r.store.layers[string(c.layer)])
		})
	}
}

func TestIndexer_RecoversOnceTheLayerIsThere(t *testing.T) {
	layer := makeTar(t, entry{name: "etc/os-release", body: debianRelease})
	var broken atomic.Bool
	broken.Store(true)
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(layer)
	}), nil)
	_, err := r.Index(t.Context(), r.manifest(layer))
	require.ErrorIs(t, err, ErrLayer)
	broken.Store(false)
	report, err := r.Index(t.Context(), r.manifest(layer))
	require.NoError(t, err)
	require.Equal(t, clair.StateIndexFinished, report.State)
}

func TestIndexer_HangingServer(t *testing.T) {
	layer := makeTar(t, entry{name: "etc/os-release", body: debianRelease})
	for name, started := range map[string]bool{"before the header": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if started {
					_, _ = w.Write(layer[:512])
					w.(http.Flusher).Flush()
				}
				<-stop
			}), func(c *Config) { c.Timeout = quantity.Duration(time.Minute) })
			t.Cleanup(func() { close(stop) })
			r.fetcher.stall = 50 * time.Millisecond
			report, err := r.Index(t.Context(), r.manifest(layer))
			require.ErrorIs(t, err, ErrLayer)
			require.ErrorContains(t, err, "nothing for")
			require.Equal(t, clair.StateIndexError, report.State)

			// The deadline of the whole, and a client that goes away.
			r.fetcher.stall, r.timeout = time.Minute, 50*time.Millisecond
			report, err = r.Index(t.Context(), r.manifest(layer))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, clair.StateIndexError, report.State)
			r.timeout = time.Minute
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = r.Index(ctx, r.manifest(layer))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, clair.StateIndexError, r.store.reports[r.manifest(layer).Hash].State)
		})
	}
}

func TestFetcher_Headers(t *testing.T) {
	layer := makeTar(t, entry{name: "etc/os-release", body: debianRelease})
	var got http.Header
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		got = q.Header.Clone()
		_, _ = w.Write(layer)
	}), nil)
	want := http.Header{"Authorization": {"Bearer a", "Basic b"}, "Accept": {"application/gzip"}}
	_, err := r.fetcher.Scan(t.Context(), clair.Layer{Hash: digest(layer), URI: r.url, Headers: http.Header{"authorization": {"Bearer a", "Basic b"}, "Accept": {"application/gzip"}}})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFetcher_ContentTypes(t *testing.T) {
	plain := makeTar(t, entry{name: "etc/os-release", body: debianRelease})
	gzip, zstd := gzipped(t, plain), zstded(t, plain)
	for kind, layers := range map[string][][]byte{
		"":                          {plain, gzip, zstd},
		"application/octet-stream":  {plain, gzip, zstd},
		"binary/octet-stream":       {plain},
		"text/plain; charset=utf-8": {gzip},
		"application/vnd.docker.image.rootfs.diff.tar.gzip": {gzip},
		"application/gzip":                            {gzip},
		"application/x-gzip":                          {gzip},
		"application/vnd.oci.image.layer.v1.tar+gzip": {gzip},
		"application/vnd.oci.image.layer.v1.tar+zstd": {zstd},
		"application/zstd":                            {zstd},
		"application/x-tar":                           {plain},
		"application/vnd.oci.image.layer.v1.tar":      {plain},
	} {
		t.Run(kind, func(t *testing.T) {
			for _, b := range layers {
				r := newRig(t, bytesHandler(b, kind), nil)
				_, err := r.fetcher.Scan(t.Context(), clair.Layer{Hash: digest(b), URI: r.url})
				require.NoError(t, err)
			}
		})
	}
}

func TestFetcher_Addresses(t *testing.T) {
	f := NewFetcher(Default(), "")
	for ip, public := range map[string]bool{
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false,
		"100.64.0.1": false, "255.255.255.255": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false,
		"::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "224.0.0.1": false, "ff02::1": false,
		"8.8.8.8": true, "2606:4700::1111": true, "172.32.0.1": true,
	} {
		t.Run(ip, func(t *testing.T) {
			err := f.control("tcp", netip.AddrPortFrom(netip.MustParseAddr(ip), 80).String(), nil)
			require.Equal(t, public, err == nil)
		})
	}
	// A name that resolves to such an address is refused like the address.
	_, err := f.Scan(t.Context(), clair.Layer{Hash: digest(nil), URI: "http://localhost:1/?token=secret"})
	require.ErrorContains(t, err, "allow_private")
	require.NotContains(t, err.Error(), "secret")
	u, err := url.Parse("gopher://x")
	require.NoError(t, err)
	require.Error(t, f.schemeAllowed(u, false))
}

func TestCheckManifest(t *testing.T) {
	d := digest(nil)
	for name, m := range map[string]clair.Manifest{
		"empty":              {},
		"without_layers":     {Hash: d},
		"without_hash":       {Layers: []clair.Layer{{Hash: d}}},
		"layer_without_hash": {Hash: d, Layers: []clair.Layer{{}}},
		"many_layers":        {Hash: d, Layers: make([]clair.Layer, 10_001)},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, CheckManifest(&m), clair.ErrInvalid) })
	}
}

func TestConfig_Validate(t *testing.T) {
	require.NoError(t, Default().Validate())
	err := Config{LayerSchemes: []string{"ftp"}}.Validate()
	for _, key := range []string{"layer_schemes", "max_layer_size", "concurrency", "timeout"} {
		require.ErrorContains(t, err, "indexer."+key)
	}
}

func TestState(t *testing.T) {
	require.Regexp(t, "^[0-9a-f]{32}$", State())
	require.Equal(t, State(), State())
}
