package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/match"
	"oriel/server"
)

var state = index.State()

const (
	hashA  = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hashB  = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	iRep   = "/indexer/api/v1/index_report/"
	iState = "/indexer/api/v1/index_state"
	vRep   = "/matcher/api/v1/vulnerability_report/"
	uOp    = "/matcher/api/v1/internal/update_operation"
	uDiff  = "/matcher/api/v1/internal/update_diff"
)

// indexReport returns a small report with a Python and a Go package.
func indexReport(change func(r map[string]any)) string {
	r := map[string]any{
		"packages": map[string]any{
			"1": map[string]any{"id": "1", "name": "requests", "version": "2.28.0", "kind": "binary", "source": map[string]any{"name": ""}},
			"2": map[string]any{"id": "2", "name": "golang.org/x/net", "version": "v0.17.0"},
		},
		"repository": map[string]any{"1": map[string]any{"name": "pypi"}, "2": map[string]any{"name": "go", "uri": "https://pkg.go.dev/"}},
		"environments": map[string]any{
			"1": []any{map[string]any{"package_db": "usr/lib", "repository_ids": []any{"1"}}},
			"2": []any{map[string]any{"package_db": "usr/bin/x", "introduced_in": hashB, "repository_ids": []any{"2"}}},
		},
		"unknown": 1,
	}
	if change != nil {
		change(r)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func row(name, repo, pkg, bounds string) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name: name, Severity: "HIGH", NormalizedSeverity: clair.High, Links: "https://a.test/ https://b.test/",
		Package: &clair.Package{Name: pkg, Kind: clair.Binary}, Repo: &clair.Repository{Name: repo}, FixedInVersion: bounds,
	}
}

func (w world) update(updater string, rows ...*clair.Vulnerability) string {
	w.Helper()
	var all iter.Seq2[*clair.Vulnerability, error] = func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range rows {
			if !yield(v, nil) {
				return
			}
		}
	}
	res, err := w.db.UpdateVulnerabilities(w.Context(), updater, "fp", all)
	require.NoError(w, err)
	return res.Ref.String()
}

func TestIndexReport_Put(t *testing.T) {
	w := newWorld(t)
	a := w.do("PUT", iRep+strings.ToUpper(hashA[7:]), indexReport(nil))
	w.refuses(a, 400, "bad-request")
	a = w.do("PUT", iRep+"sha256:"+strings.ToUpper(hashA[7:]), indexReport(nil))
	require.Equal(t, 201, a.StatusCode, a.body)
	require.Equal(t, `"`+state+`"`, a.Header.Get("Etag"))
	require.Equal(t, iRep+hashA, a.Header.Get("Location"))
	require.Equal(t, []string{
		"<" + iRep + hashA + `>; rel="https://projectquay.io/clair/v1/index_report"`,
		"<" + vRep + hashA + `>; rel="https://projectquay.io/clair/v1/vulnerability_report"`,
	}, a.Header.Values("Link"))
	require.Equal(t, "application/vnd.clair.index_report.v1+json", a.Header.Get("Content-Type"))

	got := w.do("GET", iRep+hashA, "")
	require.Equal(t, 200, got.StatusCode)
	require.JSONEq(t, a.body, got.body)
	require.JSONEq(t, `{"manifest_hash":"`+hashA+`","state":"IndexFinished","success":true,"err":"","distributions":{},
		"packages":{"1":{"id":"1","name":"requests","version":"2.28.0","kind":"binary","normalized_version":"pep440:0.2.28.0.0.0.0.0.0.0","cpe":"",
				"source":{"id":"","name":"","version":"","normalized_version":"","cpe":""}},
			"2":{"id":"2","name":"golang.org/x/net","version":"v0.17.0","normalized_version":"semver:0.0.17.0.0.0.0.0.0.0","cpe":"",
				"source":{"id":"","name":"","version":"","normalized_version":"","cpe":""}}},
		"repository":{"1":{"id":"1","name":"pypi","cpe":""},"2":{"id":"2","name":"go","uri":"https://pkg.go.dev/","cpe":""}},
		"environments":{"1":[{"package_db":"usr/lib","introduced_in":"`+hashA+`","distribution_id":"","repository_ids":["1"]}],
			"2":[{"package_db":"usr/bin/x","introduced_in":"`+hashB+`","distribution_id":"","repository_ids":["2"]}]}}`, got.body)
	require.Equal(t, 200, w.do("PUT", iRep+hashA, got.body).StatusCode, "a report that was read can be put again")
}

func TestIndexReport_PutRefuses(t *testing.T) {
	w := newWorld(t)
	set := func(keys ...string) func(map[string]any) {
		return func(r map[string]any) {
			for _, k := range keys[:len(keys)-2] {
				if l, ok := r[k].([]any); ok {
					r = l[0].(map[string]any) // the first, of any type
					continue
				}
				r = r[k].(map[string]any)
			}
			r[keys[len(keys)-2]] = keys[len(keys)-1]
		}
	}
	for name, c := range map[string]struct{ body, says string }{
		"not_json":        {`{`, "body"},
		"garbage_after":   {indexReport(nil) + "x", "trailing data"},
		"not_an_object":   {`"x"`, "body"},
		"wrong_type":      {`{"packages":[]}`, "packages"},
		"other_digest":    {indexReport(set("manifest_hash", hashB)), "manifest_hash"},
		"bad_digest":      {indexReport(set("manifest_hash", "sha256:1")), "digest"},
		"unfinished":      {indexReport(set("state", "FetchLayers")), "state"},
		"no_environment":  {indexReport(func(r map[string]any) { delete(r["environments"].(map[string]any), "2") }), "environments.2"},
		"no_such_package": {indexReport(func(r map[string]any) { delete(r["packages"].(map[string]any), "2") }), "environments.2"},
		"null_package":    {indexReport(func(r map[string]any) { r["packages"].(map[string]any)["2"] = nil }), "packages.2"},
		"no_name":         {indexReport(set("packages", "1", "name", "")), "packages.1.name"},
		"no_such_dist":    {indexReport(set("environments", "1", "distribution_id", "7")), "environments.1.distribution_id"},
		"no_such_repo":    {indexReport(func(r map[string]any) { delete(r["repository"].(map[string]any), "2") }), "environments.2.repository_ids"},
		"bad_cpe":         {indexReport(set("packages", "1", "cpe", "cpe")), "packages.1.cpe"},
		"bad_normalized":  {indexReport(set("packages", "1", "normalized_version", "semver:1.2")), "packages.1.normalized_version"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{T: t, db: w.db, feeds: w.feeds, url: w.url}
			a := w.do("PUT", iRep+hashA, c.body)
			w.refuses(a, 400, "bad-request")
			require.Contains(t, a.body, c.says)
		})
	}
	w.refuses(w.do("PUT", iRep+hashA, `{"packages":{"1":{"name":"`+strings.Repeat("x", 17<<20)+`"}}}`), 413, "request-too-large")
	w.refuses(w.do("GET", iRep+hashA, ""), 404, "not-found")
}

func TestIndexReport_Get(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(nil))
	a := w.do("GET", iRep+hashA, "", "Accept", "application/json") // IDX-15
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, `"`+state+`"`, a.Header.Get("Etag"))
	w.refuses(w.do("GET", iRep+hashA, "", "Accept", "text/html"), 415, "internal-error") // IDX-16
	w.refuses(w.do("GET", iRep+hashA, "", "Accept", ";;"), 400, "bad-request")
	require.Equal(t, 200, w.do("GET", iRep+hashA, "", "Accept", "text/html;q=1, */*;q=0.1").StatusCode)
	w.refuses(w.do("GET", iRep+hashB, ""), 404, "not-found") // IDX-17
	w.refuses(w.do("GET", iRep+"nonsense", ""), 400, "bad-request")
	w.refuses(w.do("GET", iRep, ""), 400, "bad-request")
	for _, tag := range []string{`"` + state + `"`, `W/"` + state + `"`, `"x", "` + state + `"`, "*"} { // IDX-18
		a = w.do("GET", iRep+hashA, "", "If-None-Match", tag)
		require.Equal(t, 304, a.StatusCode, tag)
		require.Empty(t, a.body)
	}
	require.Equal(t, 404, w.do("GET", iRep+hashB, "", "If-None-Match", `"`+state+`"`).StatusCode)
	require.Equal(t, 200, w.do("GET", iRep+"x/y/sha256%3A"+hashA[7:], "").StatusCode)
}

func TestIndexReport_Delete(t *testing.T) {
	w := newWorld(t)
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	w.do("PUT", iRep+hashB, indexReport(nil))
	for range 2 { // IDX-20
		a := w.do("DELETE", iRep+hashA, "")
		require.Equal(t, 204, a.StatusCode)
		require.Empty(t, a.body)
	}
	require.Equal(t, 404, w.do("GET", iRep+hashA, "").StatusCode)
	require.Equal(t, 404, w.do("GET", vRep+hashA, "").StatusCode)
	const bulk = "/indexer/api/v1/index_report"
	a := w.do("DELETE", bulk, `["`+hashA+`","`+hashB+`"]`) // IDX-21
	require.Equal(t, 200, a.StatusCode)
	require.JSONEq(t, `["`+hashB+`"]`, a.body)
	require.JSONEq(t, `[]`, w.do("DELETE", bulk, `["`+hashA+`"]`).body)
	for _, body := range []string{`"x"`, `["x"]`, `[""]`, ``} {
		w.refuses(w.do("DELETE", bulk, body), 400, "bad-request")
	}
}

func TestIndexState(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", iState, "") // IDX-03
	require.Equal(t, 200, a.StatusCode)
	require.JSONEq(t, `{"state":"`+state+`"}`, a.body)
	require.Equal(t, "application/vnd.clair.index_state.v1+json", a.Header.Get("Content-Type"))
	a = w.do("GET", iState, "", "If-None-Match", `"`+state+`"`) // IDX-04
	require.Equal(t, 304, a.StatusCode)
	require.Equal(t, `"`+state+`"`, a.Header.Get("Etag"))
	require.Empty(t, a.body)
	for _, r := range [][2]string{{"PUT", "/indexer/api/v1/index_report"}, {"POST", iState}, {"HEAD", iState}, {"POST", vRep + hashA}, {"POST", "/readyz"}} { // IDX-19
		require.Equal(t, 405, w.do(r[0], r[1], "").StatusCode, r)
	}
	w.refuses(w.do("GET", "/nowhere", ""), 404, "not-found")
}

func TestVulnerabilityReport(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(nil))
	a := w.do("GET", vRep+hashA, "") // MAT-01
	require.Equal(t, 202, a.StatusCode)
	require.Empty(t, a.body)

	pypi := w.update("osv/PyPI", row("PYSEC-1", "pypi", "requests", "fixed=2.31.0&introduced=2.3.0"), row("PYSEC-2", "pypi", "requests", "fixed=2.28.0"),
		row("PYSEC-3", "pypi", "requests", "introduced=1"))
	w.update("osv/Go", row("GO-1", "go", "golang.org/x/net", "fixed=0.23.0&introduced=0"), row("GO-2", "go", "golang.org/x/net", "fixed=0.17.0"))
	a = w.do("GET", vRep+hashA, "")
	require.Equal(t, 200, a.StatusCode, a.body)
	require.Equal(t, "max-age=3600", a.Header.Get("Cache-Control"))
	require.Equal(t, "application/vnd.clair.vulnerability_report.v1+json", a.Header.Get("Content-Type"))
	var r clair.VulnerabilityReport
	var raw map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(a.body), &raw))
	require.Equal(t, "{}", string(raw["enrichments"]))
	delete(raw, "enrichments")
	require.ElementsMatch(t, []string{"manifest_hash", "packages", "distributions", "repository", "environments", "vulnerabilities", "package_vulnerabilities"},
		keys(raw))
	b, err := json.Marshal(raw)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &r))
	require.Equal(t, map[string][]string{"1": {"PYSEC-1 fixed=2.31.0&introduced=2.3.0", "PYSEC-3 "}, "2": {"GO-1 0.23.0"}}, named(r))
	require.NotContains(t, a.body, `"range"`) // MAT-03
	require.NotContains(t, a.body, `null`)
	require.Contains(t, a.body, `"issued":"0001-01-01T00:00:00Z"`)

	w.refuses(w.do("GET", vRep+hashB, ""), 404, "not-found") // MAT-05
	w.refuses(w.do("GET", vRep+"sha256:12", ""), 400, "bad-request")

	a = w.do("GET", vRep+hashA+"?why=1", "")
	require.Contains(t, a.body, `"affected":"from 2.3.0 before 2.31.0"`)
	require.Contains(t, a.body, `"osv/PyPI":"`+pypi+`"`, "the operation of the finding")
}

func keys(m map[string]json.RawMessage) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// named returns a report's findings by package, with names and fixed versions.
func named(r clair.VulnerabilityReport) map[string][]string {
	out := map[string][]string{}
	for id, list := range r.PackageVulnerabilities {
		for _, v := range list {
			out[id] = append(out[id], r.Vulnerabilities[v].Name+" "+r.Vulnerabilities[v].FixedInVersion)
		}
	}
	return out
}

// MAT-11, MAT-15.
func TestVulnerabilityReport_OddVersionsAndUpdates(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(func(r map[string]any) {
		r["packages"].(map[string]any)["2"].(map[string]any)["version"] = "(devel)"
	}))
	w.update("osv", row("GO-1", "go", "golang.org/x/net", "fixed=0.23.0"), row("PYSEC-1", "pypi", "requests", "fixed=not a version"), row("PYSEC-2", "pypi", "requests", "fixed=3"))
	a := w.do("GET", vRep+hashA, "")
	require.Equal(t, 200, a.StatusCode)
	require.Contains(t, a.body, "PYSEC-2")
	require.NotContains(t, a.body, "GO-1")
	require.NotContains(t, a.body, "PYSEC-1")
	w.update("osv", row("GO-1", "go", "golang.org/x/net", "fixed=0.23.0"))
	require.NotContains(t, w.do("GET", vRep+hashA, "").body, "PYSEC-2", "a removed advisory disappears without indexing again")
	w.update("other")
	require.Equal(t, 200, w.do("GET", vRep+hashA, "").StatusCode)
}

func TestUpdateOperations(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", uOp, "")
	require.Equal(t, 200, a.StatusCode)
	require.JSONEq(t, "{}", a.body)
	require.Empty(t, a.Header.Get("Etag"))
	first, second := w.update("u", row("A", "go", "p", "")), w.update("u", row("A", "go", "p", ""), row("B", "go", "p", ""))
	a = w.do("GET", uOp, "") // UPD-01
	require.Equal(t, `"`+second+`"`, a.Header.Get("Etag"))
	var ops map[string][]clair.UpdateOperation
	require.NoError(t, json.Unmarshal([]byte(a.body), &ops))
	require.Len(t, ops["u"], 2)
	require.Equal(t, second, ops["u"][0].Ref.String())
	require.Equal(t, clair.KindVulnerability, ops["u"][0].Kind)
	for _, latest := range []string{"1", "true", "t"} { // UPD-02
		require.NoError(t, json.Unmarshal([]byte(w.do("GET", uOp+"?latest="+latest, "").body), &ops))
		require.Len(t, ops["u"], 1)
	}
	require.JSONEq(t, "{}", w.do("GET", uOp+"?kind=enrichment", "").body)
	w.refuses(w.do("GET", uOp+"?kind=x", ""), 400, "bad-request")
	require.Equal(t, 304, w.do("GET", uOp, "", "If-None-Match", `"`+second+`"`).StatusCode)

	for range 2 { // UPD-06
		a = w.do("DELETE", uOp+"/"+second, "")
		require.Equal(t, 200, a.StatusCode)
		require.Empty(t, a.body)
	}
	w.refuses(w.do("DELETE", uOp+"/x", ""), 400, "bad-request")
	w.refuses(w.do("GET", uDiff+"?cur="+second, ""), 404, "not-found")
	require.NotContains(t, w.do("GET", uOp, "").body, second)
	w.do("PUT", iRep+hashA, indexReport(func(r map[string]any) {
		r["packages"].(map[string]any)["2"].(map[string]any)["name"] = "p"
	}))
	report := w.do("GET", vRep+hashA, "").body
	require.Contains(t, report, `"name":"A"`, "the one before %s is current again: %s", second, first)
	require.NotContains(t, report, `"name":"B"`)
}

func TestUpdateDiff(t *testing.T) {
	w := newWorld(t)
	first := w.update("u", row("A", "go", "p", ""), row("B", "go", "p", ""))
	second := w.update("u", row("B", "go", "p", ""), row("C", "go", "p", ""))
	other := w.update("v", row("A", "go", "p", ""))
	diff := func(query string) (added, removed []string) {
		a := w.do("GET", uDiff+query, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		var d struct {
			Prev, Cur      clair.UpdateOperation
			Added, Removed []clair.Vulnerability
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &d), a.body)
		for _, v := range d.Added {
			added = append(added, v.Name)
		}
		for _, v := range d.Removed {
			removed = append(removed, v.Name)
		}
		slices.Sort(added)
		return added, removed
	}
	added, removed := diff("?cur=" + second) // UPD-04
	require.Equal(t, []string{"B", "C"}, added)
	require.Empty(t, removed)
	added, removed = diff("?prev=" + first + "&cur=" + second)
	require.Equal(t, []string{"C"}, added)
	require.Equal(t, []string{"A"}, removed)
	added, _ = diff("?prev=00000000-0000-0000-0000-000000000000&cur=" + second)
	require.Equal(t, []string{"B", "C"}, added)
	for query, status := range map[string]int{ // UPD-05
		"": 400, "?cur=x": 400, "?cur=" + second + "&prev=x": 400, "?cur=" + second + "&prev=" + other: 400,
		"?cur=11111111-1111-4111-8111-111111111111": 404,
	} {
		require.Equal(t, status, w.do("GET", uDiff+query, "").StatusCode, query)
	}
}

// UPD-10.
func TestAffectedManifests(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(nil))
	w.do("PUT", iRep+hashB, indexReport(func(r map[string]any) {
		r["packages"].(map[string]any)["1"].(map[string]any)["version"] = "2.32.0"
	}))
	body := `{"vulnerabilities":[
		{"id":"7","name":"PYSEC-1","normalized_severity":"Low","package":{"name":"requests","kind":"binary"},"repository":{"name":"pypi"},"fixed_in_version":"fixed=2.31.0"},
		{"id":"8","name":"PYSEC-2","normalized_severity":"High","package":{"name":"requests"},"repository":{"name":"pypi"},"fixed_in_version":""},
		{"id":"9","name":"GO-1","package":{"name":"golang.org/x/net","kind":"binary"},"repository":{"name":"go"},"range":{"[":"semver:0.0.18.0.0.0.0.0.0.0",")":"semver:65535.0.0.0.0.0.0.0.0.0"}},
		{"id":"10","name":"CVE-1","package":null},{"id":"11"}]}`
	for _, path := range []string{"/indexer/api/v1/internal/affected_manifest", "/indexer/api/v1/internal/affected_manifest/"} {
		a := w.do("POST", path, body)
		require.Equal(t, 200, a.StatusCode, a.body)
		var got struct {
			Vulnerabilities map[string]clair.Vulnerability
			Manifests       map[string][]string `json:"vulnerable_manifests"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &got))
		require.Equal(t, map[string][]string{hashA: {"8", "7"}, hashB: {"8"}}, got.Manifests, "most severe first")
		require.Len(t, got.Vulnerabilities, 5, "all are echoed")
	}
	a := w.do("POST", "/indexer/api/v1/internal/affected_manifest/", `{"vulnerabilities":[]}`)
	require.JSONEq(t, `{"vulnerabilities":{},"vulnerable_manifests":{}}`, a.body)
	w.refuses(w.do("POST", "/indexer/api/v1/internal/affected_manifest/", `{"vulnerabilities":[null]}`), 400, "bad-request")
	w.refuses(w.do("POST", "/indexer/api/v1/internal/affected_manifest/", `[`), 400, "bad-request")
	w.do("DELETE", iRep+hashA, "")
	require.NotContains(t, w.do("POST", "/indexer/api/v1/internal/affected_manifest/", body).body, hashA)
}

// OPS-03.
// OPS-03.
func TestCompression(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(nil))
	plain := w.do("GET", iRep+hashA, "", "Accept-Encoding", "identity")
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	gz := w.do("GET", iRep+hashA, "", "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", gz.Header.Get("Content-Encoding"))
	zr, err := gzip.NewReader(strings.NewReader(gz.body))
	require.NoError(t, err)
	b, err := io.ReadAll(zr)
	require.NoError(t, err)
	require.Equal(t, plain.body, string(b))
	zs := w.do("GET", iRep+hashA, "", "Accept-Encoding", "gzip;q=0.5, zstd")
	require.Equal(t, "zstd", zs.Header.Get("Content-Encoding"))
	d, err := zstd.NewReader(bytes.NewReader([]byte(zs.body)))
	require.NoError(t, err)
	defer d.Close()
	b, err = io.ReadAll(d)
	require.NoError(t, err)
	require.Equal(t, plain.body, string(b))
	require.Equal(t, "deflate", w.do("GET", iRep+hashB, "", "Accept-Encoding", "deflate").Header.Get("Content-Encoding"), "errors too")
	a := w.do("GET", iRep+hashA, "", "Accept-Encoding", "br, identity;q=0")
	require.Equal(t, 415, a.StatusCode)
	require.Empty(t, a.body)
	require.Empty(t, w.do("GET", iState, "", "Accept-Encoding", "gzip", "If-None-Match", "*").Header.Get("Content-Encoding"), "no body, so no coding")
}

// A shutdown lets requests in progress finish and accepts no others.
func TestServer_RunDrains(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	began, goOn := make(chan struct{}), make(chan struct{})
	slow := slowMatcher{matcher{w.db}, began, goOn}
	s := server.New(server.Options{Manifests: w.db, Updates: w.db, Matcher: slow, Log: slog.New(slog.DiscardHandler), IndexState: state})
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, l); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		res, err := http.Get("http://" + l.Addr().String() + vRep + hashA)
		if err != nil || res.StatusCode != 200 {
			t.Error(res, err)
			return
		}
		res.Body.Close()
	})
	<-began
	stop()
	close(goOn)
	wg.Wait()
	_, err = http.Get("http://" + l.Addr().String() + "/healthz")
	require.Error(t, err)
}

type slowMatcher struct {
	matcher
	began, goOn chan struct{}
}

func (m slowMatcher) Report(ctx context.Context, r *clair.IndexReport) (*match.Result, error) {
	close(m.began)
	<-m.goOn
	return m.matcher.Report(ctx, r)
}

// Internal errors and panics reveal nothing to the client.
func TestServer_Fails(t *testing.T) {
	w := newWorld(t)
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	for name, fail := range map[string]func() error{
		"error": func() error { return fmt.Errorf("secret detail") },
		"panic": func() error { panic("secret detail") },
	} {
		srv := httptest.NewServer(server.New(server.Options{
			Manifests: w.db, Updates: w.db, Matcher: failing{matcher{w.db}, fail}, Log: slog.New(slog.DiscardHandler), IndexState: state,
		}))
		t.Run(name, func(t *testing.T) {
			w := world{T: t, db: w.db, feeds: w.feeds, url: srv.URL}
			a := w.do("GET", vRep+hashA, "")
			w.refuses(a, 500, "internal-error")
			require.NotContains(t, a.body, "secret")
		})
		srv.Close()
	}
}

type failing struct {
	matcher
	fail func() error
}

func (f failing) Report(context.Context, *clair.IndexReport) (*match.Result, error) {
	return nil, f.fail()
}
