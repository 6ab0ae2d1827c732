package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/window"
)

// original is a response of the original protocol.
type original struct {
	Error           *string
	RequestID       string
	Session         string
	State           string
	Vulnerabilities *[]map[string]any
}

func (w world) original(query string, status int) original {
	w.Helper()
	a := w.do("GET", "/"+query, "")
	require.Equal(w, status, a.StatusCode, a.body)
	require.Equal(w, "application/json", a.Header.Get("Content-Type"))
	var o original
	require.NoError(w, json.Unmarshal([]byte(a.body), &o))
	return o
}

// PAT-01 to PAT-04, PAT-06 and PAT-08, in both dialects.
func TestPatches_Original(t *testing.T) {
	windowsInBubble(t, func(c *window.Config) { c.MaxActive, c.MaxQueued = 2, 2 }, testOriginal)
}

func testOriginal(t *testing.T, w world) {
	w.fill("ubuntu:18.04", 110)
	require.NotNil(t, w.original("", http.StatusBadRequest).Error)
	require.NotNil(t, w.original("patches", http.StatusBadRequest).Error)
	o := w.original("?platform=plan9", http.StatusBadRequest)
	require.Contains(t, *o.Error, "ubuntu:18.04")
	require.Equal(t, "denied", o.State)
	o = w.original("patches?platform=ubuntu:18.04", http.StatusOK)
	require.Nil(t, o.Error)
	require.Regexp(t, `^[0-9a-f]{32}$`, o.RequestID)
	older := w.original("?platform=ubuntu:18.04", http.StatusOK)
	queued := [2]original{w.original("?platform=ubuntu:18.04", http.StatusOK), w.original("?platform=ubuntu:18.04", http.StatusOK)}
	full := w.original("?platform=ubuntu:18.04", http.StatusAccepted)
	require.Contains(t, *full.Error, "too busy")
	require.Equal(t, "denied", full.State)
	// A queued session is reported as such in both dialects.
	q := w.original("?requestID="+queued[0].RequestID, http.StatusAccepted)
	require.Equal(t, "queued", q.State)
	require.Contains(t, *q.Error, "no vulnerabilities prepared")
	require.Nil(t, q.Vulnerabilities)
	q = w.original("?session="+queued[0].Session, http.StatusOK)
	require.Nil(t, q.Error)
	require.Empty(t, *q.Vulnerabilities)
	require.Equal(t, "queued", q.State)

	var got [2][]string
	for done := 0; done < 2; {
		done = 0
		for i, query := range []string{"?platform=x&requestID=" + o.RequestID, "?session=" + older.Session} {
			a := w.do("GET", "/"+query, "")
			var r original
			require.NoError(t, json.Unmarshal([]byte(a.body), &r))
			if r.Vulnerabilities == nil || len(*r.Vulnerabilities) == 0 {
				if r.State == "done" {
					done++
				}
				require.Equal(t, []int{http.StatusAccepted, http.StatusOK}[i], a.StatusCode)
				continue
			}
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Nil(t, r.Error)
			require.LessOrEqual(t, len(*r.Vulnerabilities), 128)
			for _, v := range *r.Vulnerabilities {
				got[i] = append(got[i], v["name"].(string))
				keys := []string{"affected_platform", "details_href", "fixed_in"}
				if i == 1 {
					keys = []string{"affectedPlatform", "detailsHref", "fixedIn"}
				}
				require.Len(t, v, 5)
				require.Equal(t, "ubuntu:18.04", v[keys[0]])
				require.Equal(t, "https://example.test/1", v[keys[1]])
				require.Contains(t, []float64{0, 1, 2, 3, 4, 6}, v["severity"])
				fixed := v[keys[2]].([]any)[0].(map[string]any)
				require.Regexp(t, "^pkg-", fixed["name"])
				require.Regexp(t, `^1\.`, fixed["version"])
			}
			if len(got[i]) == 110 {
				require.Equal(t, "done", r.State, "the last page has the state done")
			}
		}
	}
	for _, g := range got {
		slices.Sort(g)
		require.Equal(t, names("ubuntu:18.04", 110), g)
	}
	// The queue moves on, and unknown sessions are reported as such.
	synctest.Wait()
	require.Equal(t, http.StatusOK, w.do("GET", "/?requestID="+queued[0].RequestID, "").StatusCode)
	require.Equal(t, "unknown-session", w.original("?requestID=0", http.StatusNotFound).State)
	require.Equal(t, "unknown-session", w.original("?session=", http.StatusNotFound).State)
	// Ids do not repeat.
	ids := map[string]bool{}
	many := 10_000 / share()
	for range many {
		a := w.do("POST", pV1+"/sessions", `{"platform":"bionic"}`)
		if a.StatusCode != http.StatusCreated {
			break
		}
		id := strings.TrimPrefix(a.Header.Get("Location"), pV1+"/sessions/")
		require.False(t, ids[id])
		ids[id] = true
		require.Equal(t, http.StatusNoContent, w.do("DELETE", a.Header.Get("Location"), "").StatusCode)
	}
	require.Len(t, ids, many)
}

// A vulnerability of several packages is one item with all of them, and a
// package without a fix is named, too.
func TestPatches_OriginalGroups(t *testing.T) {
	w := newWindows(t, nil)
	row := func(name, pkg, fixed string, severity clair.Severity) *clair.Vulnerability {
		release, ok := distro.ReleaseByName("ubuntu:22.04")
		require.True(t, ok)
		return &clair.Vulnerability{
			Name: name, Package: &clair.Package{Name: pkg, Kind: clair.Source}, Dist: release.Distribution(), FixedInVersion: fixed,
			Severity: severity.String(), NormalizedSeverity: severity, Links: "https://example.test/" + name,
		}
	}
	w.update("feed",
		row("CVE-1", "openssl", "3.0.2-0ubuntu1.10", clair.Medium), row("CVE-2", "bash", "", clair.High),
		row("CVE-1", "openssl1.0", "", clair.Critical), row("CVE-1", "edk2", "0", clair.Low), row("CVE-3", "zlib", "1.2", clair.Low),
	)
	for _, c := range []struct{ key, fixedIn string }{{"requestID", "fixed_in"}, {"session", "fixedIn"}} {
		t.Run(c.key, func(t *testing.T) {
			w := w
			w.T = t
			opened := w.original("?platform=ubuntu:22.04", http.StatusOK)
			var o original
			for o.State != "done" {
				a := w.do("GET", "/?"+c.key+"="+opened.RequestID, "")
				o = original{}
				require.NoError(t, json.Unmarshal([]byte(a.body), &o))
			}
			got := map[string][]any{}
			severities := map[string]any{}
			for _, v := range *o.Vulnerabilities {
				name := v["name"].(string)
				require.NotContains(t, got, name)
				got[name], severities[name] = v[c.fixedIn].([]any), v["severity"]
			}
			fixed := func(name, version string) any { return map[string]any{"name": name, "version": version} }
			require.Len(t, got, 3)
			require.ElementsMatch(t, []any{fixed("openssl", "3.0.2-0ubuntu1.10"), fixed("openssl1.0", ""), fixed("edk2", "")}, got["CVE-1"])
			require.Equal(t, []any{fixed("bash", "")}, got["CVE-2"])
			require.Equal(t, []any{fixed("zlib", "1.2")}, got["CVE-3"])
			require.Equal(t, map[string]any{"CVE-1": 6.0, "CVE-2": 4.0, "CVE-3": 2.0}, severities)
		})
	}
}

// The rows of a vulnerability are one item although the store has them in another
// order, as far as they are in one pane.
func TestPatches_OriginalGroupsPane(t *testing.T) {
	for _, c := range []struct {
		name                        string
		paneRows, pageRows, repeats int
	}{
		{"one_pane", 1000, 16, 0},
		{"full_pages", 1000, 12, 0},
		{"page_smaller_than_a_vulnerability", 1000, 4, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWindows(t, func(cfg *window.Config) { cfg.PaneRows, cfg.PageRows = c.paneRows, c.pageRows })
			release, ok := distro.ReleaseByName("ubuntu:22.04")
			require.True(t, ok)
			const vulnerabilities, packages = 40, 6
			var rows []*clair.Vulnerability
			for p := range packages {
				for v := range vulnerabilities {
					rows = append(rows, &clair.Vulnerability{
						Name: fmt.Sprint("CVE-", v), Package: &clair.Package{Name: fmt.Sprint("p", p), Kind: clair.Source},
						Dist: release.Distribution(), FixedInVersion: "1", Aliases: []string{"x"},
					})
				}
			}
			w.update("feed", rows...)
			opened := w.original("?platform=ubuntu:22.04", http.StatusOK)
			items, pairs := map[string]int{}, 0
			for state := ""; state != "done"; {
				a := w.do("GET", "/?requestID="+opened.RequestID, "")
				var o original
				require.NoError(t, json.Unmarshal([]byte(a.body), &o))
				state = o.State
				if o.Vulnerabilities == nil {
					continue
				}
				for _, v := range *o.Vulnerabilities {
					items[v["name"].(string)]++
					pairs += len(v["fixed_in"].([]any))
				}
			}
			require.Len(t, items, vulnerabilities)
			require.Equal(t, vulnerabilities*packages, pairs)
			repeats := 0
			for _, n := range items {
				repeats += n - 1
			}
			require.LessOrEqual(t, repeats, c.repeats)
			// The other protocol has the same rows.
			s := w.session("ubuntu:22.04")
			require.Len(t, s.all(), vulnerabilities*packages)
		})
	}
}
