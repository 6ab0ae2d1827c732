package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

const (
	nNot     = "/notifier/api/v1/notification"
	mChanges = "/matcher/api/v1/changes"
)

// notified makes an operation with n new vulnerabilities and its notification: a
// row for each, and the receipt of one webhook.
func (w world) notified(updater string, n int) uuid.UUID {
	w.Helper()
	w.update(updater)
	_, more, err := w.db.NextOperation(w.Context())
	require.NoError(w, err)
	require.False(w, more)
	var rows []*clair.Vulnerability
	for i := range n {
		rows = append(rows, row(fmt.Sprintf("PYSEC-%d", i), "pypi", "requests", "fixed=2.31.0"))
	}
	w.update(updater, rows...)
	op, more, err := w.db.NextOperation(w.Context())
	require.NoError(w, err)
	require.True(w, more)
	certain := func(v *clair.Vulnerability, _ *clair.Package, _ *clair.Distribution, _ *clair.Repository) bool {
		return true
	}
	id, err := w.db.PutNotification(w.Context(), op, []clair.Subscription{{Webhook: "hook"}}, func(yield func(clair.NotificationRow, error) bool) {
		for i, err := range w.db.OperationImpacts(w.Context(), op.Ref, certain) {
			for _, m := range i.Manifests {
				r := clair.NotificationRow{Manifest: m, Reason: clair.ReasonAdded, Version: i.Version, Vulnerability: i.After[0].ID}
				if !yield(r, err) {
					return
				}
			}
		}
	})
	require.NoError(w, err)
	require.NotEqual(w, uuid.Nil, id)
	return id
}

func TestNotification_Get(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(nil)).StatusCode)
	id := w.notified("feed", 3)

	a := w.do("GET", nNot+"/"+id.String(), "")
	require.Equal(t, 200, a.StatusCode, a.body)
	require.Equal(t, "application/vnd.clair.notification_page.v1+json", a.Header.Get("Content-Type"))
	var page struct {
		Page          struct{ Size int }
		Notifications []json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &page))
	require.Equal(t, 500, page.Page.Size)
	require.NotContains(t, a.body, `"next"`)
	require.Len(t, page.Notifications, 3)
	var first struct{ ID uuid.UUID }
	require.NoError(t, json.Unmarshal(page.Notifications[0], &first))
	require.JSONEq(t, `{"id":"`+first.ID.String()+`","manifest":"`+hashA+`","reason":"added","installed_version":"2.28.0","vulnerability":{
		"name":"PYSEC-0","description":"","package":{"id":"","name":"requests","version":"","kind":"binary","normalized_version":"","cpe":""},
		"repo":{"name":"pypi","cpe":""},"repository":{"name":"pypi","cpe":""},"severity":"High","normalized_severity":"High",
		"fixed_in_version":"fixed=2.31.0","links":"https://a.test/ https://b.test/","updater":"feed"}}`, string(page.Notifications[0]))
	require.Equal(t, "application/json", w.do("GET", nNot+"/"+id.String(), "", "Accept", "application/json").Header.Get("Content-Type"))
	w.refuses(w.do("GET", nNot+"/"+id.String(), "", "Accept", "text/html"), 415, "internal-error")

	// Page by page: no row twice, none missed, in the order of their ids.
	var got []string
	next := uuid.Nil.String()
	for range 3 {
		a := w.do("GET", nNot+"/"+id.String()+"?page_size=1&next="+next, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		var p struct {
			Page struct {
				Size int
				Next string
			}
			Notifications []struct {
				ID            string
				Vulnerability struct{ Name string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &p))
		require.Equal(t, 1, p.Page.Size)
		require.Len(t, p.Notifications, 1)
		require.Greater(t, p.Notifications[0].ID, next)
		got = append(got, p.Notifications[0].Vulnerability.Name)
		next = p.Notifications[0].ID
		if len(got) < 3 {
			require.Equal(t, next, p.Page.Next)
		} else {
			require.Empty(t, p.Page.Next)
		}
	}
	require.Equal(t, []string{"PYSEC-0", "PYSEC-1", "PYSEC-2"}, got)
	require.JSONEq(t, `{"page":{"size":1},"notifications":[]}`, w.do("GET", nNot+"/"+id.String()+"?page_size=1&next="+next, "").body)
}

func TestNotification_Refuses(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(nil)).StatusCode)
	id := w.notified("feed", 1).String()
	for _, q := range []string{"?page_size=abc", "?page_size=-1", "?next=abc", "?next=" + uuid.NewString()} {
		w.refuses(w.do("GET", nNot+"/"+id+q, ""), 400, "bad-request")
	}
	require.Equal(t, 200, w.do("GET", nNot+"/"+id+"?page_size=0", "").StatusCode)
	require.Contains(t, w.do("GET", nNot+"/"+id+"?page_size=1000000", "").body, `"size":1000000`)
	w.refuses(w.do("GET", nNot+"/nonsense", ""), 400, "bad-request")
	w.refuses(w.do("GET", nNot+"/"+uuid.NewString(), ""), 404, "not-found")
	require.Equal(t, 200, w.do("GET", nNot+"/hook/"+id, "").StatusCode)
	w.refuses(w.do("GET", nNot+"/nobody/"+id, ""), 404, "not-found")
	w.refuses(w.do("POST", nNot+"/"+id, ""), 405, "method-not-allowed")
	w.refuses(w.do("DELETE", nNot+"/nonsense", ""), 400, "bad-request")
	w.refuses(w.do("DELETE", nNot+"/"+uuid.NewString(), ""), 404, "not-found")
	w.refuses(w.do("POST", nNot+"/"+id+"/redeliver", ""), 503, "unavailable")
	w.refuses(w.do("POST", nNot+"/nonsense/redeliver", ""), 400, "bad-request")
	w.refuses(w.do("GET", nNot+"?next="+uuid.NewString(), ""), 404, "not-found")
	w.refuses(w.do("GET", nNot+"?page_size=many", ""), 400, "bad-request")
}

func TestNotification_ListAndDelete(t *testing.T) {
	w := newWorld(t)
	require.JSONEq(t, `{"page":{"size":500},"notifications":[]}`, w.do("GET", nNot, "").body)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(nil)).StatusCode)
	first, second := w.notified("feed", 2), w.notified("other", 1)
	type list struct {
		Page          struct{ Next string }
		Notifications []clair.NotificationSet
	}
	get := func(query string) (l list) {
		a := w.do("GET", nNot+query, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		require.NoError(t, json.Unmarshal([]byte(a.body), &l))
		return l
	}
	l := get("")
	require.Len(t, l.Notifications, 2)
	require.Equal(t, []uuid.UUID{second, first}, []uuid.UUID{l.Notifications[0].ID, l.Notifications[1].ID})
	require.EqualValues(t, 2, l.Notifications[1].Rows)
	require.Equal(t, "feed", l.Notifications[1].Updater)
	require.Len(t, l.Notifications[1].Receipts, 1)
	r := l.Notifications[1].Receipts[0]
	require.Equal(t, []any{"hook", clair.ReceiptCreated, 0, int64(2), ""}, []any{r.Webhook, r.Status, r.Attempts, r.Rows, r.Error})
	l = get("?page_size=1")
	require.Equal(t, second.String(), l.Page.Next)
	l = get("?page_size=1&next=" + l.Page.Next)
	require.Equal(t, first, l.Notifications[0].ID)
	require.Empty(t, l.Page.Next)

	a := w.do("DELETE", nNot+"/"+first.String(), "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.body)
	require.Equal(t, 200, w.do("DELETE", nNot+"/"+first.String(), "").StatusCode, "repeated")
	require.Equal(t, clair.ReceiptDeleted, get("").Notifications[1].Receipts[0].Status)
	require.True(t, get("").Notifications[1].Deleted)
	require.Equal(t, 200, w.do("GET", nNot+"/"+first.String(), "").StatusCode, "readable until it is collected")
	require.Equal(t, 200, w.do("DELETE", nNot+"/hook/"+second.String(), "").StatusCode)
	require.True(t, get("").Notifications[0].Deleted)
}

func TestChanges(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(nil)).StatusCode)
	first := w.update("feed", row("PYSEC-1", "pypi", "requests", "fixed=2.30.0"), row("PYSEC-2", "pypi", "requests", ""))
	w.update("feed", row("PYSEC-1", "pypi", "requests", "fixed=2.31.0"), row("GO-1", "go", "golang.org/x/net", "fixed=v0.20.0"))
	w.update("other", row("PYSEC-9", "pypi", "requests", ""))

	type change struct {
		Manifest, Reason string
		Version          string `json:"installed_version"`
		Vulnerability    struct{ Name string }
		Previous         *struct {
			Fixed string `json:"fixed_in_version"`
		}
	}
	short := func(list []change) (out []string) {
		for _, c := range list {
			s := c.Reason + " " + c.Vulnerability.Name + " " + c.Version
			if c.Previous != nil {
				s += " was " + c.Previous.Fixed
			}
			out = append(out, s)
		}
		return out
	}
	want := []string{"changed PYSEC-1 2.28.0 was fixed=2.30.0", "removed PYSEC-2 2.28.0", "added GO-1 v0.17.0"}
	var doc struct {
		Partial []string
		Changes []change
	}
	for _, since := range []string{"1h", "2020-01-01T00:00:00Z", first, "1h&manifest=" + hashA} {
		a := w.do("GET", mChanges+"?since="+since, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.NoError(t, json.Unmarshal([]byte(a.body), &doc))
		require.ElementsMatch(t, want, short(doc.Changes), since)
		if since == first {
			require.Empty(t, doc.Partial)
		} else {
			require.Equal(t, []string{"feed", "other"}, doc.Partial, "their operations do not go back far enough")
			require.Equal(t, "feed,other", a.Header.Get("Oriel-Partial"))
		}
	}
	a := w.do("GET", mChanges+"?since=1h", "", "Accept", "application/x-ndjson")
	require.Equal(t, "application/x-ndjson", a.Header.Get("Content-Type"))
	var lines []change
	for line := range strings.Lines(a.body) {
		var c change
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		lines = append(lines, c)
	}
	require.ElementsMatch(t, want, short(lines))
	require.JSONEq(t, `{"partial":[],"not_covered":[],"changes":[]}`, w.do("GET", mChanges+"?since=0s", "").body)

	for _, q := range []string{"", "?since=", "?since=yesterday", "?since=-1h", "?since=1h&manifest=x"} {
		w.refuses(w.do("GET", mChanges+q, ""), 400, "bad-request")
	}
	w.refuses(w.do("GET", mChanges+"?since=1h&manifest="+hashB, ""), 404, "not-found")
	w.refuses(w.do("GET", mChanges+"?since="+uuid.NewString(), ""), 404, "not-found")
	enrichment, err := w.db.UpdateEnrichments(context.Background(), "epss", "fp", func(func(clair.EnrichmentRecord, error) bool) {})
	require.NoError(t, err)
	w.refuses(w.do("GET", mChanges+"?since="+enrichment.Ref.String(), ""), 400, "bad-request")
}
