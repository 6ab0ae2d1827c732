package server_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/server"
)

// OPS-02, except for metrics, which the tests of the daemon cover.
func TestIntrospection(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", "/healthz", "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "ok", a.body)
	require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	a = w.do("GET", "/readyz", "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.body)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	w.refuses(w.do("POST", "/readyz", ""), 405, "method-not-allowed")
	a = w.do("GET", "/robots.txt", "")
	require.Equal(t, "User-agent: *\nDisallow: /\n", a.body)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
}

// OPS-03 for responses that are not JSON: every coding decodes to the same bytes.
func TestCompression_Everything(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/openapi", "/openapi/v1", "/healthz", "/robots.txt", "/nowhere", iState} {
		want := w.do("GET", path, "", "Accept-Encoding", "identity").body
		require.NotEmpty(t, want)
		for _, coding := range []string{"gzip", "x-gzip", "deflate", "zstd"} {
			a := w.do("GET", path, "", "Accept-Encoding", coding)
			require.NotEmpty(t, a.Header.Get("Content-Encoding"), coding)
			got, err := decoded(a)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s in %s", path, coding)
		}
	}
	require.Equal(t, 415, w.do("GET", "/healthz", "", "Accept-Encoding", "identity;q=0").StatusCode)
}

// OPS-04: all errors have the same form.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	broken := w.with(func(o *server.Options) {
		o.Matcher = failing{matcher{w.db}, func() error { return errors.New("the disk is on fire") }}
	})
	w.refuses(w.do("GET", iRep+"nonsense", ""), http.StatusBadRequest, "bad-request")
	w.refuses(w.do("GET", "/nowhere", ""), http.StatusNotFound, "not-found")
	w.refuses(w.do("GET", iRep+hashB, ""), http.StatusNotFound, "not-found")
	w.refuses(w.do("POST", iState, ""), http.StatusMethodNotAllowed, "method-not-allowed")
	w.refuses(w.do("GET", iState, "", "Accept", "text/html"), http.StatusUnsupportedMediaType, "internal-error")
	w.refuses(broken.do("GET", vRep+hashA, ""), http.StatusInternalServerError, "internal-error")
}
