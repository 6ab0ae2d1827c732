package server_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/server"
)

const iPost = "/indexer/api/v1/index_report"

// layer returns a tar of files, given as names and contents.
func layer(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

const osRelease = "ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.18.4\nPRETTY_NAME=\"Alpine Linux v3.18\"\n"

func apk(name, version string) string {
	return fmt.Sprintf("P:%s\nV:%s\nA:x86_64\no:%s\n\n", name, version, name)
}

// registry serves layers by digest and counts requests.
type registry struct {
	*httptest.Server
	mu     sync.Mutex
	blobs  map[string][]byte
	kinds  map[string]string
	gets   map[string]int
	status int
}

func newRegistry(t *testing.T) *registry {
	r := &registry{blobs: map[string][]byte{}, kinds: map[string]string{}, gets: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		hash := strings.TrimPrefix(req.URL.Path, "/")
		r.gets[hash]++
		switch {
		case strings.Join(req.Header.Values("Authorization"), ",") != "Bearer a,Bearer b":
			w.WriteHeader(http.StatusUnauthorized)
		case r.status != 0:
			w.WriteHeader(r.status)
		default:
			w.Header().Set("Content-Type", r.kinds[hash])
			_, _ = w.Write(r.blobs[hash])
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// add serves a blob under a digest, by default its own.
func (r *registry) add(blob []byte, kind string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	hash := sha(blob)
	r.blobs[hash], r.kinds[hash] = blob, kind
	return hash
}

func (r *registry) manifest(hash string, layers ...string) string {
	m := map[string]any{"hash": hash, "media_type": "ignored", "unknown": 1}
	list := []any{}
	for _, l := range layers {
		list = append(list, map[string]any{"hash": l, "uri": r.URL + "/" + l, "headers": map[string][]string{"Authorization": {"Bearer a", "Bearer b"}}})
	}
	m["layers"] = list
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestIndexReport_Post(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	lower := r.add(gzipped(t, layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")+apk("busybox", "1.36.0-r0"))), "application/octet-stream")
	upper := r.add(layer(t, "lib/apk/db/installed", apk("musl", "1.2.3-r0")+apk("curl", "8.0.0-r0")), "")
	w.update("alpine/v3.18", &clair.Vulnerability{
		Name: "CVE-1", Package: &clair.Package{Name: "curl", Kind: clair.Source}, FixedInVersion: "8.1.0-r0",
		Dist: &clair.Distribution{DID: "alpine", Name: "Alpine Linux", PrettyName: "Alpine Linux v3.18"},
	})
	a := w.do("POST", iPost, r.manifest(hashA, lower, upper)) // IDX-01, IDX-10
	require.Equal(t, 201, a.StatusCode, a.body)
	require.Equal(t, `"`+state+`"`, a.Header.Get("Etag")) // IDX-02
	require.Equal(t, iRep+hashA, a.Header.Get("Location"))
	require.Len(t, a.Header.Values("Link"), 2)
	var report clair.IndexReport
	require.NoError(t, json.Unmarshal([]byte(a.body), &report))
	require.True(t, report.Success)
	require.Equal(t, clair.StateIndexFinished, report.State)
	introduced := map[string]string{}
	for id, p := range report.Packages {
		require.Len(t, report.Environments[id], 1) // IDX-25
		introduced[p.Name] = string(report.Environments[id][0].IntroducedIn)
	}
	require.Equal(t, map[string]string{"musl": lower, "curl": upper}, introduced) // IDX-26

	require.Contains(t, w.do("GET", vRep+hashA, "").body, "CVE-1")
	again := w.do("POST", iPost, r.manifest(hashA, lower, upper)) // IDX-05
	require.Equal(t, 201, again.StatusCode)
	require.JSONEq(t, a.body, again.body)
	require.Equal(t, map[string]int{lower: 1, upper: 1}, r.gets)
	a = w.do("POST", iPost, r.manifest(hashA, lower, upper), "If-None-Match", `"`+state+`"`) // IDX-06
	require.Equal(t, 412, a.StatusCode)
	require.Empty(t, a.body)
	a = w.do("POST", iPost, r.manifest(hashB, lower), "If-None-Match", `"`+state+`"`) // IDX-07
	require.Equal(t, 201, a.StatusCode)
	require.Equal(t, 1, r.gets[lower], "a shared layer is fetched once")

	w.do("DELETE", iRep+hashA, "") // IDX-22
	require.Equal(t, 200, w.do("GET", iRep+hashB, "").StatusCode)
	require.Equal(t, 201, w.do("POST", iPost, r.manifest(hashA, lower)).StatusCode)
	require.Equal(t, map[string]int{lower: 1, upper: 1}, r.gets)
	w.do("DELETE", iPost, `["`+hashA+`","`+hashB+`"]`)
	require.Equal(t, 201, w.do("POST", iPost, r.manifest(hashA, lower)).StatusCode)
	require.Equal(t, 2, r.gets[lower], "unused layers are deleted")
}

func TestIndexReport_PostRefuses(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	good := r.add(layer(t, "etc/os-release", osRelease), "")
	for _, body := range []string{"{", r.manifest(hashA), r.manifest("", good), r.manifest("md5:abc", good), r.manifest(hashA[:70], good)} { // IDX-08, IDX-09
		w.refuses(w.do("POST", iPost, body), 400, "bad-request")
	}
	failed := func(a answer, status int, code string) {
		t.Helper()
		w.refuses(a, status, code)
		var report clair.IndexReport
		require.NoError(t, json.Unmarshal([]byte(w.do("GET", iRep+hashA, "").body), &report))
		require.Equal(t, clair.StateIndexError, report.State)
		require.False(t, report.Success)
		require.NotEmpty(t, report.Err)
		w.update("u")
		require.Equal(t, 404, w.do("GET", vRep+hashA, "").StatusCode)
	}
	r.status = 404
	failed(w.do("POST", iPost, r.manifest(hashA, good)), 500, "internal-error") // IDX-11
	r.status = 0
	require.Equal(t, 201, w.do("POST", iPost, r.manifest(hashA, good)).StatusCode)
	w.do("DELETE", iRep+hashA, "")

	wrong := sha([]byte("something else"))
	r.blobs[wrong] = layer(t, "a", "b")
	failed(w.do("POST", iPost, r.manifest(hashA, wrong)), 500, "internal-error") // IDX-12
	noTar := r.add([]byte(strings.Repeat("this is not a tar ", 100)), "")
	failed(w.do("POST", iPost, r.manifest(hashA, noTar)), 400, "bad-request")
	mislabelled := r.add(gzipped(t, layer(t, "x", "y")), "application/x-tar") // IDX-13
	failed(w.do("POST", iPost, r.manifest(hashA, mislabelled)), 500, "internal-error")
}

// IDX-13.
func TestIndexReport_PostCompressions(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	plain := layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0"))
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for _, blob := range [][]byte{plain, gzipped(t, plain), enc.EncodeAll(plain, nil)} {
		for _, kind := range []string{"", "application/octet-stream"} {
			hash := r.add(blob, kind)
			a := w.do("POST", iPost, r.manifest(sha([]byte(hash+kind)), hash))
			require.Equal(t, 201, a.StatusCode, a.body)
			require.Contains(t, a.body, "musl")
		}
	}
}

// IDX-23.
func TestIndexReport_PostAtOnce(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	l := r.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")), "")
	bodies := make([]string, 20)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			res, err := http.Post(w.url+iPost, "", strings.NewReader(r.manifest(hashA, l)))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			var b bytes.Buffer
			_, _ = b.ReadFrom(res.Body)
			bodies[i] = fmt.Sprint(res.StatusCode, b.String())
		})
	}
	wg.Wait()
	for _, b := range bodies {
		require.Equal(t, bodies[0], b)
		require.True(t, strings.HasPrefix(b, "201"), b)
	}
	require.Equal(t, map[string]int{l: 1}, r.gets)
}

func TestIndexReport_SBOM(t *testing.T) {
	w := newWorld(t)
	const sbom = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
		{"type":"library","name":"requests","version":"2.28.0","purl":"pkg:pypi/requests@2.28.0"},
		{"type":"library","name":"curl","version":"7.88.1-10","purl":"pkg:deb/debian/curl@7.88.1-10?distro=debian-12"}]}`
	w.update("osv", row("PYSEC-1", "pypi", "requests", "fixed=2.31.0"))
	for _, c := range []struct{ method, path string }{{"POST", iPost}, {"PUT", iRep + hashA}} {
		a := w.do(c.method, c.path, sbom, "Content-Type", "application/vnd.cyclonedx+json")
		require.Equal(t, 201, a.StatusCode, a.body)
		var report clair.IndexReport
		require.NoError(t, json.Unmarshal([]byte(a.body), &report))
		require.Len(t, report.Packages, 2)
		require.Contains(t, w.do("GET", vRep+string(report.Hash), "").body, "PYSEC-1")
	}
	require.Equal(t, 200, w.do("GET", iRep+sha([]byte(sbom)), "").StatusCode, "the hash is the digest of the document")
	w.refuses(w.do("POST", iPost, "{", "Content-Type", "application/spdx+json"), 400, "bad-request")
	w.refuses(w.do("PUT", iRep+hashA+"?distro=nosuch:1", sbom, "Content-Type", "application/vnd.cyclonedx+json"), 400, "bad-request")
}

// hanging serves layers without ever responding, until it is released.
func hanging(t *testing.T) (url string, asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// IDX-11b.
func TestIndexReport_PostTimeout(t *testing.T) {
	w := newWorldWith(t, 200*time.Millisecond, 2)
	url, _ := hanging(t)
	w.refuses(w.do("POST", iPost, `{"hash":"`+hashA+`","layers":[{"hash":"`+hashB+`","uri":"`+url+`/x"}]}`), 500, "internal-error")
	var report clair.IndexReport
	require.NoError(t, json.Unmarshal([]byte(w.do("GET", iRep+hashA, "").body), &report))
	require.Equal(t, clair.StateIndexError, report.State)
	require.NotEmpty(t, report.Err)
}

// IDX-24.
func TestIndexReport_PostTooMany(t *testing.T) {
	w := newWorldWith(t, 2*time.Second, 1)
	url, asked := hanging(t)
	body := `{"hash":"` + hashA + `","layers":[{"hash":"` + hashB + `","uri":"` + url + `/x"}]}`
	var wg sync.WaitGroup
	wg.Go(func() {
		res, err := http.Post(w.url+iPost, "", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
	})
	<-asked
	for range 3 {
		a := w.do("POST", iPost, body)
		w.refuses(a, 429, "too-many-requests")
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.False(t, a.Close, "the connection can be used again")
	}
	require.Equal(t, 200, w.do("GET", iState, "").StatusCode, "other requests are answered")
	wg.Wait()
}

// blockingIndexer makes no report until it is released.
type blockingIndexer struct{ release chan struct{} }

func (b blockingIndexer) Index(ctx context.Context, m *clair.Manifest) (*clair.IndexReport, error) {
	select {
	case <-b.release:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &clair.IndexReport{Hash: m.Hash, State: clair.StateIndexFinished, Success: true}, nil
}

// IDX-24: Clair's clients do not retry, so a manifest waits for its turn, unless
// too many do, or too long.
func TestIndexReport_PostWaits(t *testing.T) { synctest.Test(t, testPostWaits) }

func testPostWaits(t *testing.T) {
	b := blockingIndexer{make(chan struct{})}
	w := world{T: t, handler: server.New(server.Options{
		Indexer: b, Indexing: 1, IndexQueue: 2, IndexWait: time.Minute, Log: slog.New(slog.DiscardHandler), IndexState: state,
	})}
	body := `{"hash":"` + hashA + `","layers":[{"hash":"` + hashB + `","uri":"http://layers.test/x"}]}`
	answers := make(chan answer, 10)
	post := func() {
		go func() { answers <- w.send("POST", iPost, body) }()
		synctest.Wait()
	}
	post() // is being indexed
	post() // waits
	post() // waits
	w.refuses(w.send("POST", iPost, body), 429, "too-many-requests")
	b.release <- struct{}{}
	require.Equal(t, 201, (<-answers).StatusCode)
	synctest.Wait()
	b.release <- struct{}{}
	require.Equal(t, 201, (<-answers).StatusCode)
	synctest.Wait()
	start := time.Now()
	post()
	a := <-answers
	w.refuses(a, 429, "too-many-requests")
	require.Equal(t, "10", a.Header.Get("Retry-After"))
	require.Equal(t, time.Minute, time.Since(start))
	b.release <- struct{}{}
	require.Equal(t, 201, (<-answers).StatusCode)
}
