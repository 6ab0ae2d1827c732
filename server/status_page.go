package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/quantity"
	"oriel/internal/severity"
)

//go:embed status_page.html
var pageText string

//go:embed status_page.css
var pageStyle string

// page is the status page. It shows data of the API, without scripts and
// external resources.
type page struct {
	template *template.Template
	// policy is the Content-Security-Policy that permits only the page's style.
	policy string
}

func newPage() page {
	t := template.Must(template.New("page").Funcs(template.FuncMap{
		"bytes": bytesText, "number": numberText, "length": quantity.Length, "style": func() template.CSS { return template.CSS(pageStyle) },
	}).Parse(pageText))
	sum := sha256.Sum256([]byte(pageStyle))
	return page{t, fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))}
}

// pageData is the data of the page.
type pageData struct {
	*status
	Now        time.Time
	Feeds      []pageFeed
	Severities []pageSeverity
	Operations []clair.UpdateOperation
	States     []pageState
	NotCovered []api.NotCoveredPlace
}

// pageFeed is a feed with its condition at the time of the page.
type pageFeed struct {
	clair.Feed
	State clair.FeedCondition
}

// pageSeverity is a bar of the chart of findings. Share is its length in percent
// of the longest bar.
type pageSeverity struct {
	Name  string
	Count int64
	Share int64
}

type pageState struct {
	Name  string
	Count int64
}

// Ago returns the time from t to the time of the page, in words.
func (d *pageData) Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return quantity.Length(d.Now.Sub(t)) + " ago"
}

// In returns the time from the time of the page to t, in words.
func (d *pageData) In(t time.Time) string {
	if !t.After(d.Now) {
		return "–"
	}
	return "in " + quantity.Length(t.Sub(d.Now))
}

// Percent returns n as a percentage of a limit.
func (d *pageData) Percent(n, of int64) int64 {
	if of <= 0 {
		return 0
	}
	return min(100, 100*n/of)
}

// Total returns the number of feeds in use.
func (d *pageData) Total() int { return len(d.feeds) - len(d.feeds.In(d.Now, clair.FeedOff)) }

// Age returns the age of the oldest data, in words.
func (d *pageData) Age() string {
	if d.DataAge == nil {
		return "–"
	}
	return quantity.Length(time.Duration(*d.DataAge) * time.Second)
}

// getPage answers with the status page, or with 404 if the request does not
// accept HTML.
func (s *Server) getPage(c echo.Context) error {
	if !asksForPage(c.Request()) {
		return echo.ErrNotFound
	}
	ctx, now := c.Request().Context(), time.Now()
	st, err := s.status(ctx, now)
	if err != nil {
		return err
	}
	latest, err := s.Updates.GetLatestUpdateRefs(ctx, "")
	if err != nil {
		return err
	}
	d := newPageData(st, latest, now)
	// Render to memory first, so that an error gets an error status.
	var b bytes.Buffer
	if err := s.page.template.Execute(&b, d); err != nil {
		return fmt.Errorf("render the status page: %w", err)
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.page.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return c.HTMLBlob(http.StatusOK, b.Bytes())
}

// maxShown is the maximum number of rows of a table of the page.
const maxShown = 500

func newPageData(st *status, latest map[string][]clair.UpdateOperation, now time.Time) *pageData {
	d := &pageData{status: st, Now: now.UTC()}
	for i := range st.feeds {
		d.Feeds = append(d.Feeds, pageFeed{st.feeds[i], st.feeds[i].Condition(now)})
	}
	// Feeds that need attention come first.
	order := []clair.FeedCondition{clair.FeedMissing, clair.FeedFailed, clair.FeedStale, clair.FeedHeld, clair.FeedOK, clair.FeedIdle, clair.FeedOff}
	slices.SortStableFunc(d.Feeds, func(a, b pageFeed) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
	d.Feeds = d.Feeds[:min(len(d.Feeds), maxShown)]
	d.NotCovered = st.NotCovered[:min(len(st.NotCovered), maxShown)]
	for _, ops := range latest {
		d.Operations = append(d.Operations, ops...)
	}
	slices.SortFunc(d.Operations, func(a, b clair.UpdateOperation) int { return b.Date.Compare(a.Date) })
	d.Operations = d.Operations[:min(len(d.Operations), maxShown)]
	if st.Findings != nil {
		longest := int64(1)
		for _, n := range st.Findings.BySeverity {
			longest = max(longest, n)
		}
		for _, level := range severity.All() {
			n := st.Findings.BySeverity[level.String()]
			d.Severities = append(d.Severities, pageSeverity{
				Name:  level.String(),
				Count: n,
				Share: 100 * n / longest,
			})
		}
	}
	for _, name := range []string{"created", "delivered", "delivery_failed", "deleted"} {
		if n, ok := st.Notifications[name]; ok {
			d.States = append(d.States, pageState{strings.ReplaceAll(name, "_", " "), n})
		}
	}
	return d
}

// bytesText returns a number of bytes in a suitable unit.
func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// numberText returns a number with its thousands separated.
func numberText(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:] // a thin space
	}
	return s
}
