package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/match"
)

// index posts a manifest and returns the decoded report.
func (w world) index(body string) map[string]any {
	w.Helper()
	a := w.do("POST", iPost, body)
	require.Equal(w, 201, a.StatusCode, a.body)
	var report map[string]any
	require.NoError(w, json.Unmarshal([]byte(a.body), &report))
	return report
}

// IDX-01, IDX-02, IDX-27: the report has every key that clients need, and none
// is null.
func TestIndexReport_Shape(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	l := r.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")), "")
	a := w.do("POST", iPost, r.manifest(hashA, l))
	require.Equal(t, []string{
		`</indexer/api/v1/index_report/` + hashA + `>; rel="https://projectquay.io/clair/v1/index_report"`,
		`</matcher/api/v1/vulnerability_report/` + hashA + `>; rel="https://projectquay.io/clair/v1/vulnerability_report"`,
	}, a.Header.Values("Link"))
	report := w.index(r.manifest(hashA, l))
	require.Equal(t, []any{hashA, "IndexFinished", true, ""}, []any{report["manifest_hash"], report["state"], report["success"], report["err"]})
	for _, key := range []string{"packages", "distributions", "repository", "environments"} {
		require.IsType(t, map[string]any{}, report[key], key)
	}
	require.Len(t, report["distributions"], 1)
	for _, d := range report["distributions"].(map[string]any) {
		for _, key := range []string{"id", "did", "name", "version", "version_code_name", "version_id", "arch", "cpe", "pretty_name"} {
			require.IsType(t, "", d.(map[string]any)[key], key)
		}
		if cpe := d.(map[string]any)["cpe"]; cpe != "" {
			require.Regexp(t, `^cpe:2\.3:`, cpe)
		}
	}
	for _, p := range report["packages"].(map[string]any) {
		if source, ok := p.(map[string]any)["source"]; ok {
			require.IsType(t, map[string]any{}, source)
		}
	}
	empty := w.index(r.manifest(hashB, r.add(layer(t, "nothing", "of note"), "")))
	for _, key := range []string{"packages", "distributions", "repository", "environments"} {
		require.Equal(t, map[string]any{}, empty[key], "empty and not null: %s", key)
	}
}

// IDX-09: an upper-case digest equals the lower-case one.
func TestIndexReport_UpperCase(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	l := r.add(layer(t, "etc/os-release", osRelease), "")
	report := w.index(r.manifest("sha256:"+strings.ToUpper(hashA[7:]), l))
	require.Equal(t, hashA, report["manifest_hash"])
	require.Equal(t, 200, w.do("GET", iRep+"sha256:"+strings.ToUpper(hashA[7:]), "").StatusCode)
}

// IDX-14: a layer is requested with the manifest's headers and no others, also
// after a redirect on the same host. After a redirect to another host,
// credentials are left out.
func TestIndexReport_LayerHeaders(t *testing.T) {
	w := newWorld(t)
	blob := layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0"))
	elsewhere := make(chan http.Header, 1)
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere <- r.Header.Clone()
		_, _ = w.Write(blob)
	}))
	defer cdn.Close()
	guarded := make(chan http.Header, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/guarded", func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values("Authorization")) != 2 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		guarded <- r.Header.Clone()
		_, _ = w.Write(blob)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/guarded", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(cdn.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	})
	registry := httptest.NewServer(mux)
	defer registry.Close()
	manifest := func(hash, path string, headers map[string][]string) string {
		b, err := json.Marshal(map[string]any{"hash": hash, "layers": []any{map[string]any{"hash": sha(blob), "uri": registry.URL + path, "headers": headers}}})
		require.NoError(t, err)
		return string(b)
	}
	headers := map[string][]string{"Authorization": {"Bearer a", "Bearer b"}, "X-Of-Manifest": {"1"}}
	for _, path := range []string{"/guarded", "/moved"} {
		w.refuses(w.do("POST", iPost, manifest(hashB, path, nil)), 500, "internal-error")
		require.Contains(t, w.do("GET", iRep+hashB, "").body, `"state":"IndexError"`)
		require.Contains(t, w.index(manifest(hashA, path, headers))["packages"], "1")
		got := <-guarded
		got.Del("Referer") // added by a redirect
		require.Equal(t, http.Header(headers), got)
		w.do("DELETE", iPost, `["`+hashA+`","`+hashB+`"]`)
	}
	w.index(manifest(hashA, "/away", headers))
	got := <-elsewhere
	require.Empty(t, got.Values("Authorization"))
	require.Equal(t, "1", got.Get("X-Of-Manifest"))
}

// IDX-25: packages deleted by an upper layer are not reported, and those that
// remain refer to layers and distributions in the report.
func TestIndexReport_Whiteouts(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	node := func(name string) string { return `{"name":"` + name + `","version":"1.0.0"}` }
	lower := r.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0"),
		"app/node_modules/left/package.json", node("left"), "app/node_modules/gone/package.json", node("gone"),
		"srv/node_modules/hidden/package.json", node("hidden")), "")
	upper := r.add(layer(t, "app/node_modules/.wh.gone", "", "srv/.wh..wh..opq", "", "srv/node_modules/new/package.json", node("new")), "")
	report := w.index(r.manifest(hashA, lower, upper))
	var found []string
	environments := report["environments"].(map[string]any)
	for id, p := range report["packages"].(map[string]any) {
		found = append(found, p.(map[string]any)["name"].(string))
		require.NotEmpty(t, environments[id])
		for _, e := range environments[id].([]any) {
			env := e.(map[string]any)
			require.Contains(t, []any{lower, upper}, env["introduced_in"])
			if d := env["distribution_id"]; d != "" {
				require.Contains(t, report["distributions"], d)
			}
		}
	}
	require.ElementsMatch(t, []string{"musl", "left", "new"}, found)
}

// UPD-02: operations of both kinds, each with its own newest one.
func TestUpdateOperations_Kinds(t *testing.T) {
	w := newWorld(t)
	vulns := w.update("osv", row("A", "go", "p", ""))
	scores := func(score string) string {
		res, err := w.db.UpdateEnrichments(t.Context(), "epss", "", func(yield func(clair.EnrichmentRecord, error) bool) {
			yield(clair.EnrichmentRecord{Tags: []string{"CVE-2024-0001"}, Enrichment: json.RawMessage(`{"epss":` + score + `}`)}, nil)
		})
		require.NoError(t, err)
		return res.Ref.String()
	}
	first := scores("0.1")
	second := scores("0.2")
	list := func(query string) map[string][]clair.UpdateOperation {
		var ops map[string][]clair.UpdateOperation
		a := w.do("GET", uOp+query, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		require.NoError(t, json.Unmarshal([]byte(a.body), &ops))
		return ops
	}
	ops := list("?kind=enrichment")
	require.Len(t, ops, 1)
	require.Len(t, ops["epss"], 2)
	require.Equal(t, []string{second, first}, []string{ops["epss"][0].Ref.String(), ops["epss"][1].Ref.String()})
	require.Equal(t, clair.KindEnrichment, ops["epss"][0].Kind)
	require.Len(t, list("?kind=enrichment&latest=true")["epss"], 1)
	ops = list("?kind=vulnerability&latest=true")
	require.Len(t, ops, 1)
	require.Equal(t, vulns, ops["osv"][0].Ref.String())
	for query, refs := range map[string][2]string{"?kind=enrichment": {second, vulns}, "?kind=vulnerability": {vulns, second}} {
		a := w.do("GET", uOp+query, "", "If-None-Match", `"`+refs[0]+`"`)
		require.Equal(t, 304, a.StatusCode)
		require.Empty(t, a.body)
		require.Equal(t, 200, w.do("GET", uOp+query, "", "If-None-Match", `"`+refs[1]+`"`).StatusCode, "the newest of the other kind")
	}
	w.refuses(w.do("GET", uDiff+"?cur="+second, ""), 400, "bad-request") // UPD-05
}

// MAT-15: without enrichers the enrichments of a report are empty.
func TestVulnerabilityReport_NoEnrichers(t *testing.T) {
	w := newWorld(t)
	w.update("u")
	res, err := match.NewMatcher(w.db).Report(t.Context(), &clair.IndexReport{Hash: hashA})
	require.NoError(t, err)
	b, err := json.Marshal(res.Report)
	require.NoError(t, err)
	require.Contains(t, string(b), `"enrichments":{}`)
}

// An image has the same findings as fetched layers, as a tar file and as an
// SBOM.
func TestIndexReport_OneImageThreeWays(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	alpine := func(name, pkg, fixed string) *clair.Vulnerability {
		return &clair.Vulnerability{
			Name: name, Package: &clair.Package{Name: pkg, Kind: clair.Source}, FixedInVersion: fixed,
			Dist: &clair.Distribution{DID: "alpine", Name: "Alpine Linux", PrettyName: "Alpine Linux v3.18"},
		}
	}
	w.update("alpine/v3.18", alpine("CVE-1", "curl", "8.1.0-r0"), alpine("CVE-2", "musl", "1.2.3-r0"), alpine("CVE-3", "musl", "1.2.4-r0"), alpine("CVE-4", "busybox", "2.0"))
	w.update("osv", row("PYSEC-1", "pypi", "requests", "fixed=2.31.0"), row("PYSEC-2", "pypi", "requests", "fixed=2.28.0"))
	const metadata = "Metadata-Version: 2.1\nName: requests\nVersion: 2.28.0\n\n"
	layers := [][]byte{
		layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")+apk("busybox", "1.36.0-r0")),
		layer(t, "lib/apk/db/installed", apk("musl", "1.2.3-r0")+apk("curl", "8.0.0-r0")),
		layer(t, "usr/lib/python3.11/site-packages/requests-2.28.0.dist-info/METADATA", metadata),
	}
	findings := func(body string) []string {
		t.Helper()
		var report struct {
			Packages               map[string]*clair.Package
			Vulnerabilities        map[string]*clair.Vulnerability
			PackageVulnerabilities map[string][]string `json:"package_vulnerabilities"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &report))
		var out []string
		for id, list := range report.PackageVulnerabilities {
			for _, v := range list {
				out = append(out, report.Packages[id].Name+" "+report.Packages[id].Version+" "+report.Vulnerabilities[v].Name)
			}
		}
		return out
	}
	want := []string{"curl 8.0.0-r0 CVE-1", "musl 1.2.3-r0 CVE-3", "requests 2.28.0 PYSEC-1"}

	w.index(r.manifest(hashA, r.add(gzipped(t, layers[0]), ""), r.add(layers[1], ""), r.add(gzipped(t, layers[2]), "")))
	require.ElementsMatch(t, want, findings(w.do("GET", vRep+hashA, "").body), "fetched")

	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(file, layer(t, "c.json", `{"rootfs":{"type":"layers","diff_ids":["`+sha(layers[0])+`","`+sha(layers[1])+`","`+sha(layers[2])+`"]}}`,
		"1/layer.tar", string(layers[0]), "2/layer.tar", string(layers[1]), "3/layer.tar", string(layers[2]),
		"manifest.json", `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar","2/layer.tar","3/layer.tar"]}]`), 0o600))
	in, err := index.ReadInput(t.Context(), file, index.InputOptions{})
	require.NoError(t, err)
	res, err := match.Report(t.Context(), w.db, in.Report)
	require.NoError(t, err)
	body, err := json.Marshal(res.Report)
	require.NoError(t, err)
	require.ElementsMatch(t, want, findings(string(body)), "docker save")

	sbom := `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[
		{"type":"library","name":"musl","version":"1.2.3-r0","purl":"pkg:apk/alpine/musl@1.2.3-r0?arch=x86_64&distro=3.18.4"},
		{"type":"library","name":"curl","version":"8.0.0-r0","purl":"pkg:apk/alpine/curl@8.0.0-r0?arch=x86_64&distro=3.18.4"},
		{"type":"library","name":"requests","version":"2.28.0","purl":"pkg:pypi/requests@2.28.0"}]}`
	require.Equal(t, 201, w.do("POST", iPost, sbom, "Content-Type", "application/vnd.cyclonedx+json").StatusCode)
	require.ElementsMatch(t, want, findings(w.do("GET", vRep+sha([]byte(sbom)), "").body), "SBOM")
}
