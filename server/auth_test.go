package server_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"oriel/server"
	"oriel/server/patches"
	"oriel/window"
)

const pskText = "this is the secret"

// with returns another server with the same database.
func (w world) with(change func(*server.Options)) world {
	w.Helper()
	o := server.Options{
		Manifests: w.db, Updates: w.db, Changes: w.db, Notifications: w.db, Feeds: w.feeds,
		Patches: patches.New(window.Default(), snapshots{w.db}, nil, slog.New(slog.DiscardHandler)),
		Matcher: matcher{w.db}, Log: slog.New(slog.DiscardHandler), IndexState: state, CacheAge: time.Hour,
	}
	change(&o)
	srv := httptest.NewServer(server.New(o))
	w.Cleanup(srv.Close)
	return world{T: w.T, db: w.db, feeds: w.feeds, url: srv.URL}
}

// token returns a bearer token in the form of Clair's clients.
func token(t *testing.T, method jwt.SigningMethod, claims jwt.MapClaims) string {
	t.Helper()
	var key any = []byte(pskText)
	if method == jwt.SigningMethodNone {
		key = jwt.UnsafeAllowNoneSignatureType
	}
	s, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return "Bearer " + s
}

// withAuth returns a server with a key and a token of each role. The token's
// text is the role, padded with "-" to the minimum length.
func (w world) withAuth(change func(*server.Options)) world {
	w.Helper()
	cfg := server.AuthConfig{PSK: base64.StdEncoding.EncodeToString([]byte(pskText)), Issuers: []string{"quay", "clairctl"}}
	for _, role := range []string{"read", "scan", "admin"} {
		cfg.Tokens = append(cfg.Tokens, server.TokenConfig{Name: role + "er", Token: static(role), Role: role})
	}
	require.NoError(w, cfg.Validate())
	auth, err := server.NewAuth(cfg, nil)
	require.NoError(w, err)
	return w.with(func(o *server.Options) {
		o.Auth = auth
		if change != nil {
			change(o)
		}
	})
}

func static(role string) string { return role + strings.Repeat("-", 16-len(role)) }

// concrete returns a path that matches a route.
func concrete(path string) string {
	if prefix, ok := strings.CutSuffix(path, "*"); ok && strings.HasSuffix(prefix, "_report/") {
		return prefix + hashA
	} else if ok {
		return prefix + "a1e9e4c8-1e54-4f44-a2dd-4b4e2b5d1d3b"
	}
	return path
}

// AUT-01, for all routes.
func TestAuth_NoToken(t *testing.T) {
	w := newWorld(t)
	log := &bytes.Buffer{}
	gated := w.withAuth(func(o *server.Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	opened := 0
	for at, role := range allRoutes() {
		method, path, _ := strings.Cut(at, " ")
		a := gated.do(method, concrete(path), "")
		if role == "open" {
			opened++
			require.Equal(t, 200, a.StatusCode, at)
			continue
		}
		require.Equal(t, 401, a.StatusCode, at)
		require.Empty(t, a.body, at)
		require.Empty(t, a.Header.Get("WWW-Authenticate"))
	}
	require.Equal(t, 3, opened)
	for _, path := range []string{"/nowhere", "/notifier/api/v1/nowhere", "/indexer/api/v1/", "/patches/v1/nowhere"} {
		require.Equal(t, 401, gated.do("GET", path, "").StatusCode, "what there is is nobody's business: %s", path)
		require.Equal(t, 404, gated.do("GET", path, "", "Authorization", "Bearer "+static("read")).StatusCode, path)
	}
	require.Equal(t, 405, gated.do("POST", "/readyz", "").StatusCode) // OPS-02
	require.Equal(t, 401, gated.do("PATCH", iState, "").StatusCode)
	gated.do("GET", iState, "", "Authorization", "Bearer hunter2hunter2hunter2")
	require.NotContains(t, log.String(), "hunter2")
	require.Contains(t, log.String(), "request refused")
}

// Metrics need no token if the server listens on loopback only.
func TestAuth_Metrics(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 401, w.withAuth(nil).do("GET", "/metrics", "").StatusCode)
	require.Equal(t, 200, w.withAuth(nil).do("GET", "/metrics", "", "Authorization", "Bearer "+static("read")).StatusCode)
	require.Equal(t, 200, w.withAuth(func(o *server.Options) { o.OpenMetrics = true }).do("GET", "/metrics", "").StatusCode)
}

// AUT-02.
func TestAuth_Tokens(t *testing.T) {
	w := newWorld(t).withAuth(nil)
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"hs256":         {token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"}), 200},
		"hs384":         {token(t, jwt.SigningMethodHS384, jwt.MapClaims{"iss": "clairctl"}), 200},
		"hs512":         {token(t, jwt.SigningMethodHS512, jwt.MapClaims{"iss": "clair-intraservice"}), 200},
		"issuer":        {token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "clair-notifier"}), 401},
		"none":          {token(t, jwt.SigningMethodNone, jwt.MapClaims{"iss": "quay"}), 401},
		"bad_signature": {token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"}) + "x", 401},
		"lower_case":    {strings.Replace(token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"}), "Bearer", "bearer", 1), 401},
		"basic":         {"Basic cXVheTpxdWF5", 401},
		"no_claims":     {"Bearer x", 401},
		"static":        {"Bearer " + static("read"), 200},
		"almost":        {"Bearer " + static("read")[:15], 401},
	} {
		require.Equal(t, c.status, w.do("GET", iState, "", "Authorization", c.header).StatusCode, name)
	}
}

// AUT-03.
func TestAuth_Times(t *testing.T) {
	w := newWorld(t).withAuth(nil)
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		status int
	}{
		"exp_10_ago":   {jwt.MapClaims{"exp": now - 10}, 200},
		"exp_20_ago":   {jwt.MapClaims{"exp": now - 20}, 401},
		"nbf_10_ahead": {jwt.MapClaims{"nbf": now + 10}, 200},
		"nbf_60_ahead": {jwt.MapClaims{"nbf": now + 60}, 401},
		"iat_10_ahead": {jwt.MapClaims{"iat": now + 10}, 200},
		"iat_60_ahead": {jwt.MapClaims{"iat": now + 60}, 401},
		"as_quay":      {jwt.MapClaims{"exp": now + 300}, 200},
	} {
		c.claims["iss"] = "quay"
		require.Equal(t, c.status, w.do("GET", iState, "", "Authorization", token(t, jwt.SigningMethodHS256, c.claims)).StatusCode, name)
	}
}

// Each role permits the routes that the table lists, and the key permits all.
func TestAuth_Roles(t *testing.T) {
	w := newWorld(t).withAuth(nil)
	w.update("u")
	rank := map[string]int{"open": 0, "read": 1, "scan": 2, "admin": 3}
	for at, want := range allRoutes() {
		method, path, _ := strings.Cut(at, " ")
		for _, role := range []string{"read", "scan", "admin"} {
			a := w.do(method, concrete(path), "", "Authorization", "Bearer "+static(role))
			if rank[role] < rank[want] {
				w.refuses(a, 403, "forbidden")
			} else {
				require.NotContains(t, []int{401, 403}, a.StatusCode, "%s as %s", at, role)
			}
		}
		a := w.do(method, concrete(path), "", "Authorization", token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"}))
		require.NotContains(t, []int{401, 403}, a.StatusCode, at)
	}
}

func TestNewAuth_Files(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return name
	}
	cfg := server.AuthConfig{
		PSKFile: file("psk", base64.StdEncoding.EncodeToString([]byte(pskText))+"\n"), Issuers: []string{"quay"},
		Tokens: []server.TokenConfig{{Name: "a", TokenFile: file("token", static("scan")+"\n"), Role: "scan"}},
	}
	cfg.Resolve(dir)
	auth, err := server.NewAuth(cfg, nil)
	require.NoError(t, err)
	w := newWorld(t).with(func(o *server.Options) { o.Auth = auth })
	require.Equal(t, 200, w.do("GET", iState, "", "Authorization", token(t, jwt.SigningMethodHS256, jwt.MapClaims{"iss": "quay"})).StatusCode)
	require.Equal(t, 200, w.do("GET", iState, "", "Authorization", "Bearer "+static("scan")).StatusCode)

	for name, c := range map[string]struct {
		change func(*server.AuthConfig)
		says   string
	}{
		"no_psk":      {func(c *server.AuthConfig) { c.PSKFile = filepath.Join(dir, "missing") }, "auth.psk_file"},
		"bad_psk":     {func(c *server.AuthConfig) { c.PSKFile = filepath.Join(dir, file("bad", "hunter2!")) }, "auth.psk_file: is not base64"},
		"short_token": {func(c *server.AuthConfig) { c.Tokens[0].TokenFile = filepath.Join(dir, file("short", "hunter2")) }, "auth.token[0].token_file"},
		"same_token": {func(c *server.AuthConfig) {
			c.Tokens = append(c.Tokens, server.TokenConfig{Name: "b", Token: static("scan"), Role: "admin"})
		}, `auth.token[1].token: same token as "a"`},
	} {
		changed := cfg
		changed.Tokens = append([]server.TokenConfig{}, cfg.Tokens...)
		c.change(&changed)
		_, err := server.NewAuth(changed, nil)
		require.ErrorContains(t, err, c.says, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
	none, err := server.NewAuth(server.DefaultAuth(), nil)
	require.NoError(t, err)
	require.Nil(t, none)
	require.Empty(t, none.NewToken("local"), "no authentication")
	auth, err = server.NewAuth(cfg, nil)
	require.NoError(t, err)
	own := auth.NewToken("local")
	require.NotEqual(t, own, auth.NewToken("local"))
	w = w.with(func(o *server.Options) { o.Auth = auth })
	require.Equal(t, 204, w.do("DELETE", iRep+hashA, "", "Authorization", "Bearer "+own).StatusCode)
}

// A page of another origin in a browser on this machine cannot change anything.
func TestServer_CrossOrigin(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", iRep+hashA, indexReport(nil))
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
		w.refuses(w.do("DELETE", iRep+hashA, "", h[0], h[1]), 403, "forbidden")
		require.Equal(t, 200, w.do("GET", iRep+hashA, "", h[0], h[1]).StatusCode, "browsers keep the response from the page")
	}
	require.Equal(t, 204, w.do("DELETE", iRep+hashA, "", "Sec-Fetch-Site", "same-origin").StatusCode)
}
