package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/clair"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content returns n bytes that do not repeat.
func content(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	return b
}

// step is the far side's answer to one request.
type step func(w http.ResponseWriter, r *http.Request)

// serve answers the first request with the first step, and so on; the last
// step answers all that follow. requests counts them.
func serve(t *testing.T, steps ...step) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1))
		steps[min(n, len(steps))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

// whole serves a body as a file server does, ranges and conditions included.
func whole(body []byte, etag string) step {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// cut announces the whole body and stops after n bytes.
func cut(body []byte, etag string, n int) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:n])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func status(code int, header ...string) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// newClient returns a client with short times, whose temporary files must be
// removed by the end of the test.
func newClient(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond, TempDir: t.TempDir(), UserAgent: "oriel/test"}
	for _, f := range change {
		f(&cfg)
	}
	c := New(cfg)
	t.Cleanup(func() {
		c.CloseIdleConnections()
		left, err := os.ReadDir(cfg.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "temporary files are left behind")
	})
	return c
}

// get fetches, reads all and closes.
func get(t *testing.T, c *Client, r Request) ([]byte, clair.Fingerprint, error) {
	t.Helper()
	f, fp, err := c.Get(t.Context(), r)
	if err != nil {
		require.Nil(t, f)
		return nil, "", err
	}
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, int64(len(got)), f.Size())
	done, total := f.Progress()
	require.Equal(t, [2]int64{f.Size(), f.Size()}, [2]int64{done, total})
	require.NoError(t, f.Close())
	return got, fp, nil
}

func TestGet_HTTP(t *testing.T) {
	body := content(300<<10, 1)
	other := content(300<<10, 2)
	for name, c := range map[string]struct {
		steps    []step
		requests int64
		want     []byte
	}{
		"whole":                        {[]step{whole(body, `"a"`)}, 1, body},
		"cut_then_resumed":             {[]step{cut(body, `"a"`, 100<<10), whole(body, `"a"`)}, 2, body},
		"cut_without_validator":        {[]step{cut(body, "", 100<<10), whole(body, "")}, 2, body},
		"cut_with_weak_validator":      {[]step{cut(body, `W/"a"`, 100<<10), whole(body, `W/"a"`)}, 2, body},
		"changed_between_attempts":     {[]step{cut(body, `"a"`, 100<<10), whole(other, `"b"`)}, 2, other},
		"server_error_then_well":       {[]step{status(500), status(503), status(502), whole(body, "")}, 4, body},
		"too_many_requests":            {[]step{status(429, "Retry-After", "0"), whole(body, "")}, 2, body},
		"range_no_longer_there":        {[]step{cut(body, `"a"`, 100<<10), status(416), whole(body, `"a"`)}, 3, body},
		"cut_many_times_but_forward":   {[]step{cut(body, `"a"`, 70<<10), resumeCut(body, 70<<10), resumeCut(body, 70<<10), whole(body, `"a"`)}, 4, body},
		"wrong_part_then_whole":        {[]step{cut(body, `"a"`, 100<<10), wrongPart(body), whole(body, `"a"`)}, 3, body},
		"part_of_another_then_whole":   {[]step{cut(body, `"a"`, 100<<10), otherPart(other), whole(other, `"b"`)}, 3, other},
		"no_length":                    {[]step{chunked(body)}, 1, body},
		"cut_before_the_answer_begins": {[]step{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, whole(body, "")}, 2, body},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := serve(t, c.steps...)
			got, fp, err := get(t, newClient(t), Request{URL: url})
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.want, got))
			require.Equal(t, c.requests, requests.Load())
			require.NotEmpty(t, parseFingerprint(fp).sha256)
		})
	}
}

// resumeCut serves n bytes of the range that was asked for.
func resumeCut(body []byte, n int) step {
	return func(w http.ResponseWriter, r *http.Request) {
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)-from))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(body[from : from+n])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// wrongPart answers a range with another one.
func wrongPart(body []byte) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", len(body)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(body[:10])
	}
}

// otherPart answers with the right range of another file, If-Range or not.
func otherPart(body []byte) step {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Range")
		whole(body, `"b"`)(w, r)
	}
}

// chunked serves a body without its length.
func chunked(body []byte) step {
	return func(w http.ResponseWriter, _ *http.Request) {
		for part := range len(body) / 1024 {
			w.Write(body[part*1024 : (part+1)*1024])
			w.(http.Flusher).Flush()
		}
	}
}

func TestGet_Headers(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "oriel/test", r.UserAgent())
		require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		require.Equal(t, "yes", r.Header.Get("X-Extra"))
		require.Empty(t, r.Header.Get("If-None-Match"))
		w.Write([]byte("x"))
	})
	_, _, err := get(t, newClient(t), Request{URL: url, Header: http.Header{"X-Extra": {"yes"}}})
	require.NoError(t, err)
}

// If a server announces a failure in a trailer, the request is repeated, and
// the bytes before it are discarded.
func TestGet_ErrorTrailer(t *testing.T) {
	broken := func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "zstd", r.Header.Get("Accept-Encoding"), "the header of the caller is kept")
		w.Header().Set("Trailer", "Clair-Error")
		w.Write([]byte("half of it"))
		w.Header().Set("Clair-Error", "the disk failed")
	}
	r := Request{Header: http.Header{"Accept-Encoding": {"zstd"}}, ErrorTrailer: "Clair-Error"}
	var requests *atomic.Int64
	r.URL, requests = serve(t, broken, whole([]byte("all of it"), ""))
	body, _, err := get(t, newClient(t), r)
	require.NoError(t, err)
	require.Equal(t, "all of it", string(body))
	require.EqualValues(t, 2, requests.Load())

	r.URL, _ = serve(t, broken)
	_, _, err = get(t, newClient(t), r)
	require.ErrorIs(t, err, clair.ErrUnavailable)
	require.ErrorContains(t, err, "the disk failed")
}

func TestGet_Fails(t *testing.T) {
	body := content(300<<10, 1)
	for name, c := range map[string]struct {
		steps    []step
		requests int64
		want     error
	}{
		"not_found":                   {[]step{status(404)}, 1, clair.ErrNotFound},
		"gone":                        {[]step{status(410)}, 1, clair.ErrNotFound},
		"forbidden":                   {[]step{status(403)}, 1, nil},
		"nothing_was_asked_about":     {[]step{status(304)}, 1, nil},
		"always_busy":                 {[]step{status(503)}, 3, clair.ErrUnavailable},
		"asked_to_wait_too_long":      {[]step{status(429, "Retry-After", "86400")}, 1, clair.ErrUnavailable},
		"asked_to_wait_until_a_date":  {[]step{status(503, "Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT")}, 1, clair.ErrUnavailable},
		"always_short":                {[]step{cut(body, "", 1000)}, 3, io.ErrUnexpectedEOF},
		"too_large_by_its_length":     {[]step{whole(content(2<<20, 1), "")}, 1, clair.ErrTooLarge},
		"too_large_without_length":    {[]step{chunked(content(2<<20, 1))}, 1, clair.ErrTooLarge},
		"too_large_when_it_is_whole":  {[]step{cut(body, `"a"`, 1000), status(206, "Content-Range", "bytes 1000-1/9999999")}, 2, clair.ErrTooLarge},
		"redirected_for_ever":         {[]step{func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }}, maxRedirects, clair.ErrInvalid},
		"redirected_to_a_file":        {[]step{status(302, "Location", "file:///etc/passwd")}, 1, clair.ErrInvalid},
		"forever_cut_at_little_bytes": {[]step{cut(body, `"a"`, 10), resumeCut(body, 10)}, 3, clair.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := serve(t, c.steps...)
			client := newClient(t, func(c *Config) { c.Retries, c.MaxSize = 2, 1<<20 })
			_, _, err := get(t, client, Request{URL: url})
			require.Error(t, err)
			require.NotErrorIs(t, err, clair.ErrUnchanged)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Equal(t, c.requests, requests.Load())
		})
	}
}

func TestGet_NoDowngrade(t *testing.T) {
	plain, requests := serve(t, whole([]byte("x"), ""))
	s := httptest.NewTLSServer(http.RedirectHandler(plain, http.StatusFound))
	defer s.Close()
	client := newClient(t, func(c *Config) { c.Transport = s.Client().Transport })
	_, _, err := get(t, client, Request{URL: s.URL})
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.Zero(t, requests.Load())
}

func TestGet_Unchanged(t *testing.T) {
	body := content(1000, 1)
	for name, c := range map[string]struct{ first, second step }{
		"etag":              {whole(body, `"a"`), func(w http.ResponseWriter, r *http.Request) { whole(body, `"a"`)(w, r) }},
		"no_validators":     {whole(body, ""), whole(body, "")},
		"new_etag_same_sum": {whole(body, `"a"`), whole(body, `"b"`)},
		"last_modified": {
			func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "", time.Unix(1700000000, 0), bytes.NewReader(body))
			},
			func(w http.ResponseWriter, r *http.Request) {
				require.NotEmpty(t, r.Header.Get("If-Modified-Since"))
				w.WriteHeader(http.StatusNotModified)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, c.first, c.second)
			client := newClient(t)
			_, fp, err := get(t, client, Request{URL: url})
			require.NoError(t, err)
			_, _, err = get(t, client, Request{URL: url, Last: fp})
			require.ErrorIs(t, err, clair.ErrUnchanged)
		})
	}
	t.Run("changed", func(t *testing.T) {
		url, _ := serve(t, whole(body, `"a"`), whole(content(1000, 2), `"b"`))
		client := newClient(t)
		_, fp, err := get(t, client, Request{URL: url})
		require.NoError(t, err)
		_, fp2, err := get(t, client, Request{URL: url, Last: fp})
		require.NoError(t, err)
		require.NotEqual(t, fp, fp2)
	})
	t.Run("foreign_fingerprint", func(t *testing.T) {
		url, _ := serve(t, whole(body, `"a"`))
		_, _, err := get(t, newClient(t), Request{URL: url, Last: "%zz not of this package"})
		require.NoError(t, err)
	})
}

func TestGet_Stalls(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	t.Run("deadline", func(t *testing.T) {
		url, _ := serve(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _, err := newClient(t).Get(ctx, Request{URL: url})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("given_up_and_tried_again", func(t *testing.T) {
		url, requests := serve(t, hang, whole([]byte("whole"), ""))
		got, _, err := get(t, newClient(t, func(c *Config) { c.Stall = 50 * time.Millisecond }), Request{URL: url})
		require.NoError(t, err)
		require.Equal(t, "whole", string(got))
		require.Equal(t, int64(2), requests.Load())
	})
	t.Run("cancelled_while_it_pauses", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			cancel(stop)
		})
		_, _, err := newClient(t, func(c *Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour }).Get(ctx, Request{URL: url})
		require.ErrorIs(t, err, stop)
	})
}

func TestGet_Progress(t *testing.T) {
	body := content(300<<10, 1)
	url, _ := serve(t, cut(body, `"a"`, 100<<10), whole(body, `"a"`))
	var last [2]int64
	ctx := WithProgress(t.Context(), func(done, total int64) {
		require.GreaterOrEqual(t, done, last[0], "a resumed download goes on from where it was")
		last = [2]int64{done, total}
	})
	f, _, err := newClient(t).Get(ctx, Request{URL: url})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, [2]int64{300 << 10, 300 << 10}, last)
}

func TestGet_HidesSecrets(t *testing.T) {
	url, _ := serve(t, status(403))
	for _, address := range []string{
		"http://user:hunter2@" + url[len("http://"):] + "/feed?token=hunter2",
		"http://user:hunter2@127.0.0.1:1/feed?token=hunter2",
		"http://user:hunter2@bad host/",
		"http://%zz:hunter2@x/",
		"https:hunter2",
		url + "/feed?hunter2",
	} {
		_, _, err := get(t, newClient(t, func(c *Config) { c.Retries = -1 }), Request{URL: address})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2", address)
	}
	require.Equal(t, "https://xxx@h/p?a=xxx&b&c=xxx", Mask("https://u:p@h/p?a=1&b=&c=2#f"))
	require.Equal(t, "/a/b", Mask("file:///a/b"))
}
