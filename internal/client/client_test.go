package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/client"
)

func TestNew_Invalid(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, c := range []struct {
		name    string
		options client.Options
		field   string
	}{
		{"no_address", client.Options{}, "server"},
		{"other_scheme", client.Options{URL: "ftp://x"}, "server"},
		{"no_scheme", client.Options{URL: "127.0.0.1:6060"}, "server"},
		{"no_host", client.Options{URL: "http://"}, "server"},
		{"control_character", client.Options{URL: "http://\x00"}, "server"},
		{"missing_certificates", client.Options{URL: "https://x", CAFile: "missing.pem"}, "certificates"},
		{"empty_certificates", client.Options{URL: "https://x", CAFile: empty}, "ca-file"},
		{"empty_certificate", client.Options{URL: "https://x", Certificate: empty}, "tls.cert"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.New(c.options)
			require.ErrorIs(t, err, clair.ErrInvalid)
			require.ErrorContains(t, err, c.field)
		})
	}
}

// serve returns a client of a handler.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := client.New(client.Options{URL: srv.URL + "/", Token: "secret", UserAgent: "test/1"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// An error of a response keeps the status and the headers that callers need.
func TestError(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		header string // Retry-After

		is        error
		code      api.Code
		says      string
		after     time.Duration
		temporary bool
	}{
		{"invalid", 400, `{"code":"bad-request","message":"name: is empty"}`, "", clair.ErrInvalid, api.BadRequest, "name: is empty", 0, false},
		{"not_found", 404, `{"code":"not-found","message":"no such feed"}`, "", clair.ErrNotFound, api.NotFound, "no such feed", 0, false},
		{"conflict", 409, `{"code":"conflict","message":"it is running"}`, "", clair.ErrConflict, api.Conflict, "it is running", 0, false},
		{"unavailable", 503, `{"code":"unavailable","message":"busy"}`, "7", clair.ErrUnavailable, api.Unavailable, "busy", 7 * time.Second, true},
		{"long_wait", 429, `{"code":"queue-full","message":"full"}`, "86400", nil, api.QueueFull, "full", time.Minute, true},
		{"no_token", 401, "", "", nil, "", "Unauthorized (401): name a token", 0, false},
		{"other_server", 502, "<html>", "soon", nil, "", "Bad Gateway (502)", 0, true},
		{"redirect", 307, "", "", nil, "", "Temporary Redirect (307): redirects are not followed", 0, false},
		{"terminal", 400, `{"code":"bad-request","message":"\u001b[2J"}`, "", clair.ErrInvalid, api.BadRequest, "[2J", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}).Platforms(t.Context())
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\x1b")
			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, []any{c.status, c.code, c.after, c.temporary}, []any{e.Status, e.Code, e.RetryAfter, e.Temporary()})
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}

// Requests carry the token and the program's name, to the pinned addresses.
func TestClient_Requests(t *testing.T) {
	id := uuid.New()
	for _, c := range []struct {
		want string
		send func(context.Context, *client.Client) error
	}{
		{"POST /admin/v1/vacuum", func(ctx context.Context, c *client.Client) error { _, err := c.Vacuum(ctx); return err }},
		{"GET /matcher/api/v1/feeds", func(ctx context.Context, c *client.Client) error { _, err := c.Feeds(ctx); return err }},
		{"POST /notifier/api/v1/notification/" + id.String() + "/redeliver?webhook=a+b", func(ctx context.Context, c *client.Client) error {
			return c.Redeliver(ctx, id, "a b")
		}},
		{"POST /patches/v1/sessions", func(ctx context.Context, c *client.Client) error { _, err := c.OpenSession(ctx, "go"); return err }},
		{"DELETE /patches/v1/sessions/a%2Fb", func(ctx context.Context, c *client.Client) error { return c.CloseSession(ctx, "a/b") }},
	} {
		t.Run(c.want, func(t *testing.T) {
			var got []string
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = append(got, r.Method+" "+r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("User-Agent"))
				fmt.Fprint(w, "{}")
			})
			require.NoError(t, c.send(t.Context(), server))
			require.Equal(t, []string{c.want, "Bearer secret", "test/1"}, got)
		})
	}
}

// A page has all of its rows, or an error.
func TestClient_Page(t *testing.T) {
	row := `{"name":"CVE-1","aliases":["GHSA-1"]}` + "\n"
	for _, c := range []struct {
		name        string
		status      int
		state, body string

		rows []string
		says string
	}{
		{"rows", 200, "active", row + row, []string{"CVE-1 [GHSA-1]", "CVE-1 [GHSA-1]"}, ""},
		{"end", 200, "done", "", nil, ""},
		{"not_prepared", 202, "", `{"id":"1","state":"queued","position":3}`, nil, ""},
		{"no_state", 200, "", row, nil, "the state of the session is missing"},
		{"cut_off", 200, "active", row + `{"name":`, nil, "unexpected EOF"},
		{"not_json", 200, "active", "<html>", nil, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := serve(t, func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "c", r.URL.Query().Get("after"))
				w.Header().Set("Oriel-State", c.state)
				w.Header().Set("Oriel-Next", "n")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}).Page(t.Context(), "1", "c")
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			var rows []string
			for _, v := range p.Rows {
				rows = append(rows, fmt.Sprint(v.Name, " ", v.Aliases))
			}
			require.Equal(t, c.rows, rows)
			if c.status == http.StatusAccepted {
				require.Equal(t, 3, p.Session.Position)
			}
		})
	}
}

// RunFeeds returns once every run has ended, with what each of them did.
func TestClient_RunFeeds(t *testing.T) {
	then, now := time.Unix(100, 0).UTC(), time.Unix(200, 0).UTC()
	before, after := uuid.New(), uuid.New()
	list := func(asked int) api.FeedList {
		ended := asked > 1
		one := func(name string, err string, operation uuid.UUID, attempted bool) api.FeedStatus {
			f := api.FeedStatus{Name: name, Configured: true, LastAttempt: &then, Operation: &before, Running: asked == 1}
			if ended && attempted {
				f.LastAttempt, f.Error, f.Operation = &now, err, &operation
			}
			return f
		}
		return api.FeedList{Feeds: []api.FeedStatus{
			one("changed", "", after, true), one("same", "", before, true), one("failed", "gone", before, true), one("killed", "", before, false),
		}}
	}
	asked := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"started":["changed","same","failed","killed"]}`)
			return
		}
		require.NoError(t, json.NewEncoder(w).Encode(list(asked)))
		asked++
	})
	got := map[string]string{}
	runs, err := c.RunFeeds(t.Context(), nil, false, func(r client.FeedRun) {
		got[r.After.Name] = fmt.Sprintln(r.NewOperation(), r.Interrupted(), r.After.Error)
	})
	require.NoError(t, err)
	require.Len(t, runs, 4)
	require.Equal(t, map[string]string{
		"changed": "true false \n", "same": "false false \n", "failed": "false false gone\n", "killed": "false true \n",
	}, got)
}
