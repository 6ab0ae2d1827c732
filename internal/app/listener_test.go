package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// serving serves a configuration, whose feeds run only on request, while f
// runs.
func serving(t *testing.T, config string, f func(context.Context, *App)) {
	t.Helper()
	dir := t.TempDir()
	text := "listen = '127.0.0.1:0'\n[store]\npath = '" + filepath.Join(dir, "oriel.db") + "'\n[updater]\nat_start = false\ninterval = '0s'\n" + config
	cfg, err := parseConfig([]byte(text), dir, nil)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	require.NoError(t, Serve(ctx, cfg, assets(t), slog.New(slog.DiscardHandler), func(ctx context.Context, a *App) error {
		defer stop()
		f(ctx, a)
		return nil
	}))
}

// demoFeed is the configuration of a feed of the demonstration.
func demoFeed(t *testing.T, name, format, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../demo", path))
	require.NoError(t, err)
	return fmt.Sprintf("[[feed]]\nname = '%s'\nformat = '%s'\nurl = 'file:%s'\n", name, format, path)
}

// image is a registry with an image of one layer that contains a package of
// the feed, and a configuration with that feed.
type image struct {
	*httptest.Server
	manifest string
	digest   string
	config   string
	// asked gets a value for each request for the layer, which continues once
	// goOn is closed; both may be nil.
	asked, goOn chan struct{}
}

func newImage(t *testing.T) *image {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{
		"etc/os-release":       "ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.18.4\nPRETTY_NAME=\"Alpine Linux v3.18\"\n",
		"lib/apk/db/installed": "P:curl\nV:8.0.0-r0\nA:x86_64\no:curl\n\n",
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	i := &image{digest: digestOf([]byte("the image's manifest"))}
	i.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if i.asked != nil {
			i.asked <- struct{}{}
			<-i.goOn
		}
		rw.Header().Set("Content-Type", "application/octet-stream")
		_, _ = rw.Write(b.Bytes())
	}))
	t.Cleanup(i.Close)
	layer := digestOf(b.Bytes())
	i.manifest = fmt.Sprintf(`{"hash":%q,"layers":[{"hash":%q,"uri":"%s/v2/lib/test/blobs/%s","headers":{}}]}`, i.digest, layer, i.URL, layer)
	feed := filepath.Join(t.TempDir(), "main.json")
	require.NoError(t, os.WriteFile(feed, []byte(`{"distroversion":"v3.18","reponame":"main","packages":[{"pkg":{"name":"curl","secfixes":{"8.1.0-r0":["CVE-2023-1"]}}}]}`), 0o600))
	i.config = "[indexer]\nallow_private = true\n[[feed]]\nname = 'alpine'\nformat = 'alpine'\nurl = 'file:" + feed + "'\n"
	return i
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

const testKey = "this is the secret"

// pskConfig returns a configuration with the key and its issuers.
func pskConfig(more string) string {
	return "[auth]\npsk = '" + base64.StdEncoding.EncodeToString([]byte(testKey)) + "'\nissuers = ['quay', 'clairctl']\n" + more
}

// clairClient sends requests as Clair's clients do: without content type, in
// chunks, and with a token for each request.
type clairClient struct {
	t      *testing.T
	url    string
	agent  string
	claims func() jwt.MapClaims
	http   *http.Client
}

func (c clairClient) do(method, path, body string, headers ...string) (*http.Response, string) {
	c.t.Helper()
	var r io.Reader
	if body != "" {
		r = io.MultiReader(strings.NewReader(body)) // of no known length
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, r)
	require.NoError(c.t, err)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c.claims()).SignedString([]byte(testKey))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", c.agent)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	require.NoError(c.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return res, string(b)
}

// asQuay and asClairctl sign as these clients do.
func asQuay(t *testing.T, url string) clairClient {
	return clairClient{t, url, "Quay", func() jwt.MapClaims {
		return jwt.MapClaims{"iss": "quay", "exp": time.Now().Add(5 * time.Minute).Unix()}
	}, http.DefaultClient}
}

func asClairctl(t *testing.T, url string) clairClient {
	return clairClient{t, url, "clairctl/v4.8.0", func() jwt.MapClaims {
		now := time.Now()
		return jwt.MapClaims{"iss": "clairctl", "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Minute).Unix()}
	}, http.DefaultClient}
}

// The sequence of Quay's worker and of its garbage collection, with a key.
func TestServe_Quay(t *testing.T) {
	i := newImage(t)
	serving(t, pskConfig(i.config), func(ctx context.Context, a *App) {
		res, err := http.Get(a.URL() + "/indexer/api/v1/index_state")
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, 401, res.StatusCode, "without a token")
		_, err = a.updates.Update(ctx)
		require.NoError(t, err)
		quay := asQuay(t, a.URL())

		res, body := quay.do("GET", "/indexer/api/v1/index_state", "")
		require.Equal(t, 200, res.StatusCode)
		var state struct{ State string }
		require.NoError(t, json.Unmarshal([]byte(body), &state))
		res, body = quay.do("POST", "/indexer/api/v1/index_report", i.manifest)
		require.Equal(t, 201, res.StatusCode, body)
		require.Equal(t, state.State, strings.Trim(res.Header.Get("Etag"), `"`), "what Quay keeps as the indexer's hash")
		var report map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &report))
		require.Equal(t, "IndexFinished", report["state"])
		require.Equal(t, "", report["err"])
		res, body = quay.do("GET", "/matcher/api/v1/vulnerability_report/"+i.digest, "")
		require.Equal(t, 200, res.StatusCode)
		require.Contains(t, body, "CVE-2023-1")
		res, _ = quay.do("DELETE", "/indexer/api/v1/index_report/"+i.digest, "")
		require.Equal(t, 204, res.StatusCode)
		res, _ = quay.do("GET", "/matcher/api/v1/vulnerability_report/"+i.digest, "")
		require.Equal(t, 404, res.StatusCode)
	})
}

// CTL-01 to CTL-03 on the wire: the requests of clairctl report and clairctl
// delete, with a key, over TLS.
func TestServe_Clairctl(t *testing.T) {
	i := newImage(t)
	cert, key := newCertificate(t)
	serving(t, pskConfig(i.config)+"[tls]\ncert = '"+cert+"'\nkey = '"+key+"'\n", func(ctx context.Context, a *App) {
		require.True(t, strings.HasPrefix(a.URL(), "https://"), a.URL())
		_, err := a.updates.Update(ctx)
		require.NoError(t, err)
		ctl := asClairctl(t, a.URL())
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		ctl.http = &http.Client{Transport: tr}
		const index = "/indexer/api/v1/index_report"
		for range 2 {
			res, _ := ctl.do("GET", index+"/"+i.digest, "")
			require.Equal(t, 404, res.StatusCode)
		}
		res, body := ctl.do("POST", index, i.manifest)
		require.Equal(t, 201, res.StatusCode, body)
		var report clair.IndexReport
		require.NoError(t, json.Unmarshal([]byte(body), &report))
		tag := ""
		for _, link := range res.Header.Values("Link") {
			if strings.Contains(link, `rel="https://projectquay.io/clair/v1/index_report"`) {
				tag = res.Header.Get("Etag")
			}
		}
		require.NotEmpty(t, tag)
		res, body = ctl.do("GET", "/matcher/api/v1/vulnerability_report/"+i.digest, "")
		require.Equal(t, 200, res.StatusCode)
		var found struct {
			Vulnerabilities map[string]clair.Vulnerability
		}
		require.NoError(t, json.Unmarshal([]byte(body), &found))
		require.Len(t, found.Vulnerabilities, 1)
		res, _ = ctl.do("GET", index+"/"+i.digest, "", "If-None-Match", tag)
		require.Equal(t, 304, res.StatusCode)
		res, body = ctl.do("DELETE", index, `["`+i.digest+`"]`)
		require.Equal(t, 200, res.StatusCode, body)
		res, _ = ctl.do("GET", index+"/"+i.digest, "")
		require.Equal(t, 404, res.StatusCode)
	})
}

// newCertificate writes a certificate as an operator would receive it.
func newCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return cert, key
}

// A manifest that is being indexed when the daemon is stopped is indexed to
// its end and answered.
func TestServe_Drains(t *testing.T) {
	i := newImage(t)
	i.asked, i.goOn = make(chan struct{}, 1), make(chan struct{})
	var wg sync.WaitGroup
	serving(t, pskConfig(i.config), func(_ context.Context, a *App) {
		wg.Go(func() {
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"}).SignedString([]byte(testKey))
			if err != nil {
				t.Error(err)
				return
			}
			req, err := http.NewRequestWithContext(t.Context(), "POST", a.URL()+"/indexer/api/v1/index_report", strings.NewReader(i.manifest))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 201 || !bytes.Contains(b, []byte("IndexFinished")) {
				t.Error(res.StatusCode, string(b), err)
			}
		})
		<-i.asked
		wg.Go(func() {
			defer close(i.goOn) // once the shutdown has begun, which closes the listener
			for t.Context().Err() == nil {
				c, err := net.Dial("tcp", strings.TrimPrefix(a.URL(), "http://"))
				if err != nil {
					return
				}
				c.Close()
			}
		})
	})
	wg.Wait()
}

// A missing or wrong file prevents the daemon from starting.
func TestListen(t *testing.T) {
	parse := func(text string) *Config {
		cfg, err := parseConfig([]byte(text), t.TempDir(), nil)
		require.NoError(t, err)
		return cfg
	}
	log := &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	f, err := listen(t.Context(), parse("listen = '127.0.0.1:0'\n"+pskConfig("")), logger)
	require.NoError(t, err)
	require.True(t, f.loopback)
	require.NoError(t, f.Close())
	require.Empty(t, log.String())

	for text, says := range map[string]string{
		"[auth]\npsk_file = 'missing'\n":                                      "auth.psk_file",
		"[[auth.token]]\nname = 'a'\nrole = 'read'\ntoken_file = 'missing'\n": "auth.token[0].token_file",
		"[tls]\ncert = 'missing'\nkey = 'missing'\n":                          "tls: ",
		"listen = '192.0.2.1:6060'\n[auth]\ninsecure = true\n":                "listen: ",
	} {
		_, err := listen(t.Context(), parse(text), logger)
		require.ErrorContains(t, err, says)
	}
}

// If the configuration does not limit connections, the memory does.
func TestLimits(t *testing.T) {
	cfg := defaultConfig()
	small, large := divide(minMemory, 16<<20), divide(128<<20, 16<<20)
	require.Equal(t, 1024, limits(&cfg, large).Connections)
	require.Less(t, limits(&cfg, small).Connections, limits(&cfg, large).Connections)
	cfg.TLS.Cert = "cert.pem"
	require.Equal(t, 512, limits(&cfg, large).Connections)
	cfg.Limits.Connections = 7
	require.Equal(t, 7, limits(&cfg, large).Connections)
}
