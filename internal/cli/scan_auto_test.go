package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A scan of packages whose feed is automatic has the server fetch it, and waits.
// A feed that cannot be fetched is reported, and not asked for again at once.
func TestScan_AutomaticFeeds(t *testing.T) {
	dir := t.TempDir()
	feed, sbom := filepath.Join(dir, "all.zip"), filepath.Join(dir, "sbom.json")
	writeZip(t, feed, 20, 0, 1)
	const document = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
		{"type":"library","name":"p7","version":"v1.2.0","purl":"pkg:golang/example.test/p7@v1.2.0"},
		{"type":"library","name":"x","version":"1.0.0","purl":"pkg:npm/x@1.0.0"}]}`
	require.NoError(t, os.WriteFile(sbom, []byte(document), 0o600))
	var fetched, failed, others atomic.Int64
	asked, release := make(chan struct{}, 10), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/go.zip":
			fetched.Add(1)
			asked <- struct{}{}
			select {
			case <-release:
				http.ServeFile(w, r, feed)
			case <-r.Context().Done():
			}
		case "/npm.zip":
			failed.Add(1)
			http.NotFound(w, r)
		default:
			others.Add(1)
		}
	}))
	defer web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	config := filepath.Join(dir, "oriel.toml")
	text := fmt.Sprintf("listen = %q\n[store]\npath = 'oriel.db'\n[log]\nlevel = 'error'\n", l.Addr())
	for _, name := range []string{"Go", "npm", "Maven"} {
		text += fmt.Sprintf("[[feed]]\nname = 'osv/%s'\nformat = 'osv'\nurl = '%s/%s.zip'\nenabled = 'auto'\n",
			name, web.URL, map[string]string{"Go": "go", "npm": "npm", "Maven": "maven"}[name])
	}
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	d := &realDaemon{t: t, config: config, url: "http://" + l.Addr().String()}
	d.start()
	t.Cleanup(d.kill)

	type result struct {
		code      int
		out, errs string
	}
	done := make(chan result, 1)
	go func() {
		code, out, errs := runOriel(t, "scan", sbom, "--server", d.url)
		done <- result{code, out, errs}
	}()
	<-asked
	select {
	case <-done:
		t.Fatal("the scan did not wait for the feed")
	default:
	}
	close(release)
	r := <-done
	require.Zero(t, r.code, r.errs)
	require.Contains(t, r.out, "GO-7")
	require.Contains(t, r.out, "Not covered: npm (1 package): never-fetched. The feed osv/npm could not be fetched: ")
	require.NotZero(t, failed.Load())

	requests := failed.Load()
	code, out, _ := runOriel(t, "scan", sbom, "--server", d.url)
	require.Zero(t, code)
	require.Contains(t, out, "GO-7")
	require.EqualValues(t, 1, fetched.Load())
	require.Equal(t, requests, failed.Load(), "it is not tried again so soon")
	require.Zero(t, others.Load(), "nothing needs Maven's feed")
}
