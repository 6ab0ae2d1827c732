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
	"oriel/internal/quantity"
	"oriel/internal/severity"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page is the status page. It needs no script and nothing from anywhere else,
// and shows what the API answers.
type page struct {
	template *template.Template
	// policy lets a browser use the page's own style and nothing else.
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

// pageData is what the page shows.
type pageData struct {
	*status
	Now        time.Time
	Feeds      []pageFeed
	Severities []pageSeverity
	Operations []clair.UpdateOperation
	States     []pageState
}

// pageFeed is a feed with its condition at the moment of the page.
type pageFeed struct {
	clair.Feed
	State clair.FeedCondition
}

// pageSeverity is a bar of findings; Share is of the longest, in percent.
type pageSeverity struct {
	Name  string
	Count int64
	Share int64
}

type pageState struct {
	Name  string
	Count int64
}

// Ago says how long before the page was made something was.
func (d *pageData) Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return quantity.Length(d.Now.Sub(t)) + " ago"
}

// In says how long after the page was made something is to be.
func (d *pageData) In(t time.Time) string {
	if !t.After(d.Now) {
		return "–"
	}
	return "in " + quantity.Length(t.Sub(d.Now))
}

// Percent is a share of a limit.
func (d *pageData) Percent(n, of int64) int64 {
	if of <= 0 {
		return 0
	}
	return min(100, 100*n/of)
}

// Total is how many feeds are in use.
func (d *pageData) Total() int { return len(d.feeds) - len(d.feeds.In(d.Now, clair.FeedOff)) }

// Age is how old the oldest data are.
func (d *pageData) Age() string {
	if d.DataAge == nil {
		return "–"
	}
	return quantity.Length(time.Duration(*d.DataAge) * time.Second)
}

// getPage shows the status page to a browser. Whoever does not ask for HTML is
// told that there is nothing here.
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
	// As a whole, so that an error is answered as one.
	var b bytes.Buffer
	if err := s.page.template.Execute(&b, d); err != nil {
		return fmt.Errorf("make the status page: %w", err)
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.page.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return c.HTMLBlob(http.StatusOK, b.Bytes())
}

// maxShown bounds the rows of a table of the page.
const maxShown = 500

func newPageData(st *status, latest map[string][]clair.UpdateOperation, now time.Time) *pageData {
	d := &pageData{status: st, Now: now.UTC()}
	for i := range st.feeds {
		d.Feeds = append(d.Feeds, pageFeed{st.feeds[i], st.feeds[i].Condition(now)})
	}
	// What needs looking at comes first.
	order := []clair.FeedCondition{clair.FeedMissing, clair.FeedFailed, clair.FeedStale, clair.FeedOK, clair.FeedOff}
	slices.SortStableFunc(d.Feeds, func(a, b pageFeed) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
	d.Feeds = d.Feeds[:min(len(d.Feeds), maxShown)]
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

// bytesText is a number of bytes in a unit that suits it.
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

// numberText sets thousands apart.
func numberText(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:] // a thin space
	}
	return s
}
