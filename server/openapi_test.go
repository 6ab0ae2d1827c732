package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/golden"
	"oriel/server"
	"oriel/server/patches"
	"oriel/window"
)

// readYAML returns the handwritten description.
func readYAML(t *testing.T) (text []byte, doc any) {
	t.Helper()
	names, err := filepath.Glob("openapi/*.yaml")
	require.NoError(t, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		text = append(text, b...)
	}
	require.NoError(t, yaml.Unmarshal(text, &doc))
	return text, doc
}

// The JSON form equals the YAML form.
func TestOpenAPI_JSON(t *testing.T) {
	_, doc := readYAML(t)
	b, err := json.MarshalIndent(doc, "", " ")
	require.NoError(t, err)
	golden.Equal(t, append(b, '\n'), "../openapi/openapi.json")
}

// OPS-01.
func TestOpenAPI_Served(t *testing.T) {
	w := newWorld(t)
	text, _ := readYAML(t)
	const path = "/openapi/v1"
	a := w.do("GET", path, "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "application/openapi+json", a.Header.Get("Content-Type"))
	require.Regexp(t, `^"[^"]+"$`, a.Header.Get("Etag"))
	var doc struct{ OpenAPI string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &doc))
	require.True(t, strings.HasPrefix(doc.OpenAPI, "3.1"))
	for media, isYAML := range map[string]bool{
		"application/json": false, "application/vnd.oai.openapi+json": false, "application/openapi+json": false,
		"application/yaml": true, "application/openapi+yaml": true, "application/vnd.oai.openapi+yaml": true,
	} {
		b := w.do("GET", path, "", "Accept", media)
		require.Equal(t, media, b.Header.Get("Content-Type"))
		require.Equal(t, isYAML, b.body == string(text), media)
		require.Equal(t, !isYAML, b.body == a.body, media)
		require.Equal(t, !isYAML, b.Header.Get("Etag") == a.Header.Get("Etag"), "each form has its own tag")
		require.Equal(t, 304, w.do("GET", path, "", "Accept", media, "If-None-Match", b.Header.Get("Etag")).StatusCode)
	}
	w.refuses(w.do("GET", path, "", "Accept", "text/html"), 415, "internal-error")
	w.refuses(w.do("POST", path, ""), 405, "method-not-allowed")
}

// The page shows every operation and schema, and loads nothing.
func TestOpenAPI_Page(t *testing.T) {
	w := newWorld(t)
	page := w.do("GET", "/openapi", "")
	require.Equal(t, 200, page.StatusCode)
	require.Equal(t, "text/html; charset=UTF-8", page.Header.Get("Content-Type"))
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page.body)
	sum := sha256.Sum256([]byte(style[1]))
	require.Equal(t, "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'",
		page.Header.Get("Content-Security-Policy"), "the page's style, and nothing else")
	require.NotRegexp(t, `(?i)<script|src=|<link|url\(|https?://`, page.body)
	c := theContract()
	for path, item := range c.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if op, ok := op.(map[string]any); ok {
				require.Contains(t, page.body, strings.ToUpper(method)+`</span> <code>`+path+`</code>`)
				require.NotEmpty(t, op["tags"], "%s %s", method, path)
			}
		}
	}
	for name := range c.doc["components"].(map[string]any)["schemas"].(map[string]any) {
		require.Contains(t, page.body, `id="schema-`+name+`"`)
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		require.Contains(t, page.body, `id="`+link[1]+`"`)
	}
}

// The document describes exactly the routes of the table, with their roles.
func TestOpenAPI_Routes(t *testing.T) {
	c := theContract()
	routes := allRoutes()
	seen := map[string]bool{}
	for at, role := range routes {
		method, path, _ := strings.Cut(at, " ")
		_, _, op := c.find(method, regexp.MustCompile(`\*|:\w+`).ReplaceAllString(path, "x"))
		require.NotNil(t, op, "openapi/*.yaml has no %s", at)
		require.Equal(t, role, op["x-role"], at)
		seen[op["operationId"].(string)] = true
	}
	ids := map[string]bool{}
	for path, item := range c.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if op, ok := op.(map[string]any); ok {
				id := op["operationId"].(string)
				require.False(t, ids[id], "two operations are called %s", id)
				ids[id] = true
				require.True(t, seen[id], "there is no %s %s", method, path)
			}
		}
	}
}

// Every reference resolves, every schema compiles, and every parameter of a path
// is described.
func TestOpenAPI_Sound(t *testing.T) {
	c := theContract()
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				require.NotEmpty(t, c.resolve(v), ref)
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(c.doc)
	for name := range c.doc["components"].(map[string]any)["schemas"].(map[string]any) {
		c.mu.Lock()
		_, err := c.compile(`{"$ref":"#/components/schemas/` + name + `"}`)
		c.mu.Unlock()
		require.NoError(t, err, name)
	}
	for path, item := range c.paths {
		for method, op := range item {
			op, ok := op.(map[string]any)
			if !ok {
				continue
			}
			var described []string
			for _, list := range []any{item["parameters"], op["parameters"]} {
				ps, _ := list.([]any)
				for _, p := range ps {
					if p := c.resolve(p); p["in"] == "path" {
						require.Equal(t, true, p["required"], path)
						described = append(described, "{"+p["name"].(string)+"}")
					}
				}
			}
			require.ElementsMatch(t, regexp.MustCompile(`\{[^/]*\}`).FindAllString(path, -1), described, "%s %s", method, path)
			require.NotEmpty(t, op["summary"], path)
			require.Contains(t, op["responses"], "default", path)
		}
	}
}

// Every handler answers as described. Other tests of this package are checked
// against the document, too; this one makes sure that no operation is left out.
func TestOpenAPI_Handlers(t *testing.T) {
	w, r := newWorld(t), newRegistry(t)
	w.add(feed.Feed{Name: "osv/Go", Format: "osv", URL: osvFile(t, "GO-1"), Enabled: true})
	w.update("osv/Go", row("GO-1", "go", "p", ""))
	require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
		Updater: "osv/Go", Kind: clair.KindVulnerability, LastAttempt: time.Now(), LastSuccess: time.Now(),
	}))
	first := w.update("osv/PyPI", row("PYSEC-1", "pypi", "requests", "fixed=2.31.0"))
	second := w.update("osv/PyPI", row("PYSEC-2", "pypi", "requests", "fixed=2.31.0"))
	l := r.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")), "")
	sbom := `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[]}`
	affected, err := json.Marshal(map[string]any{"vulnerabilities": []*clair.Vulnerability{row("PYSEC-2", "pypi", "requests", "")}})
	require.NoError(t, err)
	w.fill("debian:12", 3)
	session := w.session("debian:12")
	done := map[string]bool{}
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
	}{
		{"POST", iPost, r.manifest(hashB, l), nil, 201},
		{"POST", iPost, r.manifest(hashB, l), []string{"If-None-Match", `"` + state + `"`}, 412},
		{"POST", iPost + "?distro=debian:12", sbom, []string{"Content-Type", "application/vnd.cyclonedx+json"}, 201},
		{"PUT", iRep + hashA, indexReport(nil), nil, 201},
		{"PUT", iRep + hashA, indexReport(nil), nil, 200},
		{"GET", iRep + hashA, "", nil, 200},
		{"GET", iRep + hashA, "", []string{"If-None-Match", `"` + state + `"`}, 304},
		{"GET", iState, "", nil, 200},
		{"POST", "/indexer/api/v1/internal/affected_manifest", string(affected), nil, 200},
		{"POST", "/indexer/api/v1/internal/affected_manifest/", string(affected), nil, 200},
		{"GET", vRep + hashA, "", nil, 200},
		{"GET", vRep + hashA + "?why=1", "", []string{"Accept-Encoding", "zstd"}, 200},
		{"GET", "/matcher/api/v1/coverage/" + hashA, "", nil, 200},
		{"GET", uOp + "?kind=vulnerability&latest=true", "", nil, 200},
		{"GET", uOp, "", []string{"If-None-Match", "*"}, 304},
		{"GET", uDiff + "?prev=" + first + "&cur=" + second, "", nil, 200},
		{"DELETE", uOp + "/" + first, "", nil, 200},
		{"DELETE", iRep + hashB, "", nil, 204},
		{"DELETE", iPost, `["` + hashA + `"]`, nil, 200},
		{"GET", "/matcher/api/v1/bundle", "", nil, 404}, // this server has none
		{"POST", "/matcher/api/v1/bundle", "x", nil, 404},
		{"GET", "/matcher/api/v1/feeds", "", nil, 200},
		{"POST", "/matcher/api/v1/feeds/run", "", nil, 202},
		{"POST", "/matcher/api/v1/feeds/run?name=none", "", nil, 404},
		{"GET", "/matcher/api/v1/changes?since=24h", "", nil, 200},
		{"GET", "/matcher/api/v1/changes?since=24h", "", []string{"Accept", "application/x-ndjson"}, 200},
		{"GET", "/notifier/api/v1/notification", "", nil, 200},
		{"GET", "/notifier/api/v1/notification/" + first, "", nil, 404},
		{"DELETE", "/notifier/api/v1/notification/" + first, "", nil, 404},
		{"POST", "/notifier/api/v1/notification/" + first + "/redeliver", "", nil, 503}, // this server delivers nothing
		{"GET", "/admin/v1/status", "", nil, 200},
		{"POST", "/admin/v1/vacuum", "", nil, 503}, // this server does not own its database
		{"GET", "/patches/v1/platforms", "", nil, 200},
		{"GET", "/patches/v1/status", "", nil, 200},
		{"POST", "/patches/v1/sessions", `{"platform":"debian:12"}`, nil, 201},
		{"GET", "/patches/v1/sessions/" + session.ID, "", nil, 200},
		{"GET", "/patches/v1/sessions/" + session.ID + "/vulnerabilities?wait=30s", "", nil, 200},
		{"DELETE", "/patches/v1/sessions/" + session.ID, "", nil, 204},
		{"GET", "/", "", []string{"Accept", "text/html"}, 200},
		{"GET", "/?platform=debian:12", "", nil, 200},
		{"POST", "/?platform=debian:12", "", nil, 200},
		{"GET", "/patches?requestID=1", "", nil, 404},
		{"POST", "/patches?session=1", "", nil, 404},
		{"GET", "/patches/", "", nil, 400},
		{"POST", "/patches/?platform=debian:12", "", nil, 200},
		{"GET", "/openapi/v1", "", nil, 200},
		{"GET", "/openapi", "", nil, 200},
		{"GET", "/metrics", "", nil, 200},
		{"GET", "/healthz", "", nil, 200},
		{"GET", "/readyz", "", nil, 200},
		{"GET", "/robots.txt", "", nil, 200},
	} {
		a := w.do(c.method, c.path, c.body, c.headers...)
		require.Equal(t, c.status, a.StatusCode, "%s %s: %s", c.method, c.path, a.body)
		_, _, op := theContract().find(c.method, strings.Split(c.path, "?")[0])
		done[op["operationId"].(string)] = true
	}
	for _, item := range theContract().paths {
		for _, op := range item {
			if op, ok := op.(map[string]any); ok {
				require.True(t, done[op["operationId"].(string)], "no request is made to %s", op["operationId"])
			}
		}
	}
}

// allRoutes returns the routes of a server with all parts.
func allRoutes() map[string]string {
	return server.New(server.Options{Patches: patches.New(window.Default(), snapshots{}, nil, slog.New(slog.DiscardHandler))}).RouteTable()
}
