package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/feed"
	"oriel/server"
)

// pageOf returns the status page of a server, parsed, and its text.
func pageOf(w world) (doc *html.Node, text string, a answer) {
	w.Helper()
	a = w.do("GET", "/", "", "Accept", "text/html,application/xhtml+xml")
	require.Equal(w, 200, a.StatusCode, a.body)
	doc, err := html.Parse(strings.NewReader(a.body))
	require.NoError(w, err)
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return doc, strings.Join(strings.Fields(b.String()), " "), a
}

func TestPage(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 400, w.do("GET", "/", "").StatusCode, "without a browser it is a request of the original protocol")
	w.refuses(w.do("PUT", "/", "x"), 405, "method-not-allowed")
	_, text, _ := pageOf(w)
	require.Contains(t, text, "No feed is configured")
	require.NotContains(t, text, "Notifications")
	require.NotContains(t, text, "Sessions")

	w.update("u")
	w.feeds.list = []feed.Feed{{Name: "good", Format: "osv", Enabled: true}, {Name: "bad", Format: "osv", Enabled: true}, {Name: "off", Format: "osv"}}
	for _, s := range []clair.UpdateStatus{
		{Updater: "u", Kind: clair.KindVulnerability, LastAttempt: time.Now(), LastSuccess: time.Now()},
		{Updater: "good", Kind: clair.KindVulnerability, LastAttempt: time.Now(), LastSuccess: time.Now().Add(-90 * time.Minute), Records: 1234567},
		{Updater: "bad", Kind: clair.KindVulnerability, LastAttempt: time.Now(), LastSuccess: time.Now().Add(-3 * time.Hour), Error: "<script>alert(1)</script>"},
	} {
		require.NoError(t, w.db.SetUpdateStatus(t.Context(), s))
	}
	srv := httptest.NewServer(server.New(server.Options{
		Manifests: w.db, Updates: w.db, Feeds: w.feeds, Log: slog.New(slog.DiscardHandler),
		Status: server.StatusSource{
			Version: "v1.2.3",
			Findings: func() *api.Findings {
				return &api.Findings{BySeverity: map[string]int64{"High": 4321, "Low": 5}, Manifests: 17, CountedAt: time.Now()}
			},
			NotCovered: func(context.Context) ([]clair.Place, error) {
				return []clair.Place{{Name: "alpine:3.23", Packages: 12, Reason: clair.NoFeed, Hint: "Enable alpine/3.23 in the configuration."}}, nil
			},
			Database: func(context.Context) (api.Database, error) {
				return api.Database{Size: 5 << 20, Manifests: 17, Operations: map[clair.Kind]int64{}}, nil
			},
			Memory: func() api.Memory {
				return api.Memory{Limit: 128 << 20, Resident: 64 << 20, Go: 1 << 20, GoLimit: 88 << 20}
			},
			Notifications: func(context.Context) (map[string]int64, error) { return map[string]int64{"delivery_failed": 3}, nil },
			Sessions:      func() api.Sessions { return api.Sessions{Active: 7, Queued: 2} },
		},
	}))
	defer srv.Close()
	w.url = srv.URL
	doc, text, a := pageOf(w)
	for _, says := range []string{
		"1 of 3 feeds is missing, failed or stale", "The oldest data are 3h00m old", "v1.2.3", "bad osv <script>alert(1)</script> failed",
		"good osv ok 1h30m ago", "1 234 567", "off osv off", "High 100 % 4 321", "Manifests: 17", "64.0 MiB of 128.0 MiB", "file 5.0 MiB",
		"alpine:3.23 12 no-feed Enable alpine/3.23 in the configuration.", "delivery failed 3", "active 7 queued 2", "Current update operations",
	} {
		require.Contains(t, text, says)
	}
	require.Less(t, strings.Index(text, "bad osv"), strings.Index(text, "good osv"), "feeds that need attention come first")
	for n := range doc.Descendants() {
		require.NotEqual(t, "script", n.Data)
		for _, attr := range n.Attr {
			require.NotContains(t, []string{"src", "href", "style", "onclick"}, attr.Key, "no external resources, nothing that the policy forbids")
		}
	}
	require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")

	// The API returns the same data.
	a = w.do("GET", "/admin/v1/status", "")
	require.Equal(t, 200, a.StatusCode)
	var st struct {
		Version  string   `json:"version"`
		Lagging  []string `json:"lagging_feeds"`
		DataAge  int      `json:"data_age_seconds"`
		Findings struct {
			BySeverity map[string]int `json:"by_severity"`
		} `json:"findings"`
		Notifications map[string]int `json:"notifications"`
		Sessions      map[string]int `json:"sessions"`
		Memory        map[string]int `json:"memory"`
		Database      map[string]any `json:"database"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &st))
	require.Equal(t, []string{"bad"}, st.Lagging)
	require.InDelta(t, 3*3600, st.DataAge, 60)
	require.Equal(t, 4321, st.Findings.BySeverity["High"])
	require.Contains(t, a.body, `"not_covered":[{"place":"alpine:3.23","packages":12,"reason":"no-feed","hint":"Enable alpine/3.23 in the configuration."}]`)
	require.Equal(t, 3, st.Notifications["delivery_failed"])
	require.Equal(t, 7, st.Sessions["active"])
	require.EqualValues(t, 5<<20, st.Database["size_bytes"])
	require.Equal(t, 64<<20, st.Memory["resident_bytes"])
}

// If the status cannot be determined, the response is an error.
func TestPage_Fails(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(server.New(server.Options{
		Updates: w.db, Feeds: w.feeds, Log: slog.New(slog.DiscardHandler),
		Status: server.StatusSource{Database: func(context.Context) (api.Database, error) { return api.Database{}, io.ErrUnexpectedEOF }},
	}))
	defer srv.Close()
	w.url = srv.URL
	w.refuses(w.do("GET", "/", "", "Accept", "text/html"), 500, "internal-error")
	w.refuses(w.do("GET", "/admin/v1/status", ""), 500, "internal-error")
	w.refuses(w.do("POST", "/admin/v1/vacuum", ""), 503, "unavailable")
}
