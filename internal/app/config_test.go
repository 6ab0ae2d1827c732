package app

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// The example shows every key with its default: it decodes to the defaults,
// and an empty file but for the feeds means the same.
func TestConfig_Example(t *testing.T) {
	example, err := parseConfig([]byte(assets(t).ExampleConfig), ".", nil)
	require.NoError(t, err)
	require.NotEmpty(t, example.Feeds)
	empty, err := parseConfig(nil, ".", nil)
	require.NoError(t, err)
	require.Empty(t, empty.Feeds)
	example.Feeds, example.Tables = nil, nil
	require.Equal(t, empty, example)

	var keys map[string]any
	require.NoError(t, toml.Unmarshal([]byte(assets(t).ExampleConfig), &keys))
	requireKeys(t, reflect.TypeOf(*empty), keys, "")
}

// requireKeys requires that a document has a key for each field.
func requireKeys(t *testing.T, of reflect.Type, keys map[string]any, at string) {
	t.Helper()
	for i := range of.NumField() {
		key := of.Field(i).Tag.Get("toml")
		if key == "-" {
			continue
		}
		if f := of.Field(i).Type; f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct {
			requireTable(t, f.Elem(), at+key)
			continue
		}
		require.Contains(t, keys, key, "the example has no %s%s", at, key)
		if table, ok := keys[key].(map[string]any); ok {
			requireKeys(t, of.Field(i).Type, table, at+key+".")
		}
	}
}

// requireTable requires that the example shows a table that may occur several
// times and by default does not: as a comment that is valid once it is
// uncommented.
func requireTable(t *testing.T, of reflect.Type, name string) {
	t.Helper()
	_, text, ok := strings.Cut(assets(t).ExampleConfig, "\n# [["+name+"]]\n")
	require.True(t, ok, "the example has no [[%s]]", name)
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.ReplaceAll("[["+name+"]]\n"+text, "\n# ", "\n")
	d := toml.NewDecoder(strings.NewReader(strings.ReplaceAll(text, "whsec_…", ""))).DisallowUnknownFields()
	var c Config
	require.NoError(t, d.Decode(&c))
	for i := range of.NumField() {
		require.Contains(t, text, "\n"+of.Field(i).Tag.Get("toml")+" = ", "the example has no key of [[%s]]", name)
	}
}

func TestConfig_Refuses(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"unknown_key", "[store]\npth = 'x'\n", "store.pth: unknown key (line 2)"},
		{"unknown_table", "[stor]\npath = 'x'\n", "stor: unknown key (line 1)"},
		{"wrong_type", "\n[updater]\nkeep = 'ten'\n", "line 3"},
		{"not_toml", "listen = \n", "line 1"},
		{"impossible_keep", "[updater]\nkeep = 0\n", "updater.keep"},
		{"impossible_size", "[memory]\nlimit = 'much'\n", "memory.limit"},
		{"too_small", "[memory]\nlimit = '1MiB'\n", "memory.limit: 1MiB: must be at least 64MiB"},
		{"impossible_duration", "[updater]\ninterval = '6 hours'\n", "updater.interval"},
		{"no_sessions", "[window]\nmax_active = 0\n", "window.max_active: 0: must be from 1"},
		{"no_time", "[window]\npane_timeout = '1ms'\n", "window.pane_timeout: 1ms: must be at least 100ms"},
		{"no_room", "[window]\nmemory = '1KiB'\n", "window.memory: 1KiB: must be at least 1MiB"},
		{"too_much_room", "[window]\nmemory = '64MiB'\n", "window.memory: 64MiB: must be at most a quarter of memory.limit, which is 128MiB"},
		{"impossible_level", "[log]\nlevel = 'loud'\n", "log.level"},
		{"impossible_format", "[log]\nformat = 'xml'\n", "log.format"},
		{"no_port", "listen = '127.0.0.1'\n", "listen:"},
		{"beyond_loopback", "listen = '0.0.0.0:6060'\n", "not a loopback address"},
		{"psk_not_base64", "[auth]\npsk = 'hunter2!'\n", "auth.psk: is not base64"},
		{"psk_twice", "[auth]\npsk = 'c2VjcmV0'\npsk_file = 'x'\n", "auth.psk: only one of"},
		{"no_issuer", "[auth]\nissuers = ['quay', '']\n", "auth.issuers[1]"},
		{"token_without_role", "[[auth.token]]\nname = 'a'\ntoken = '0123456789abcdef'\n", "auth.token[0].role"},
		{"token_without_token", "[[auth.token]]\nname = 'a'\nrole = 'read'\n", "auth.token[0].token"},
		{"token_to_guess", "[[auth.token]]\nname = 'a'\nrole = 'read'\ntoken = 'short'\n", "auth.token[0].token: must be at least 16"},
		{"token_twice", strings.Repeat("[[auth.token]]\nname = 'a'\nrole = 'read'\ntoken = '0123456789abcdef'\n", 2), "auth.token[1].name"},
		{"cert_without_key", "[tls]\ncert = 'a.pem'\n", "tls.cert: cert and key go together"},
		{"no_burst", "[limits]\nburst = 0\n", "limits.burst"},
		{"fewer_connections", "[limits]\nconnections = -1\n", "limits.connections"},
		{"no_time", "[limits]\nread_timeout = '0s'\n", "limits.read_timeout"},
		{"small_body", "[limits]\nbody = '1KiB'\n", "limits.body"},
		{"unknown_enricher", "[matcher]\nenrichers = ['cvss', 'ssvc']\n", "matcher.enrichers: \"ssvc\" is not one of cvss, epss, kev"},
		{"enricher_twice", "[matcher]\nenrichers = ['kev', 'kev']\n", "matcher.enrichers"},
		{"enricher_without_time", "[matcher.epss]\ntimeout = '0s'\n", "matcher.epss.timeout"},
		{"webhook_unknown_key", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nfoo = 1\n", "notify.webhook.foo: unknown key (line 4)"},
		{"webhook_url", "[[notify.webhook]]\nname = 'a'\nurl = 'ftp://x.test/'\n", "notify.webhook[0].url: \"ftp://x.test/\" is not an address of http or https"},
		{"webhook_twice", strings.Repeat("[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\n", 2), "notify.webhook[1].name"},
		{"webhook_name", "[[notify.webhook]]\nname = 'a/b'\nurl = 'http://x.test/'\n", "notify.webhook[0].name"},
		{"webhook_secret", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nsecret = 'whsec_!'\n", "notify.webhook[0].secret: must be whsec_ and base64"},
		{"webhook_short_secret", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nsecret = 'YWJj'\n", "notify.webhook[0].secret: is 3 bytes long"},
		{"webhook_header", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nheaders = { 'a b' = 'c' }\n", "notify.webhook[0].headers"},
		{"webhook_own_header", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nheaders = { host = 'c' }\n", "notify.webhook[0].headers.host: is set by Oriel"},
		{"webhook_format", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nformat = 'xml'\n", "notify.webhook[0].format"},
		{"webhook_severity", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nmin_severity = 'Bad'\n", "line 4"},
		{"webhook_pattern", "[[notify.webhook]]\nname = 'a'\nurl = 'http://x.test/'\nupdaters = ['[']\n", "notify.webhook[0].updaters"},
		{"notify_callback", "[notify]\ncallback = 'nowhere'\n", "notify.callback"},
		{"notify_retry", "[notify]\nretry_min = '2h'\n", "notify.retry_max: 1h: must not be less than retry_min, 2h"},
		{"notify_give_up", "[notify]\ngive_up = '0s'\n", "notify.give_up"},
		{"feed_unknown_key", "[[feed]]\nname = 'a'\nformat = 'osv'\nurl = 'https://x.test/'\nfoo = 1\n", "feed[0].foo"},
		{"feed_unknown_format", "[[feed]]\nname = 'a'\nformat = 'csv'\nurl = 'https://x.test/'\n", "feed[0].format"},
		{"feed_impossible_age", "[[feed]]\nname = 'a'\nformat = 'osv'\nurl = 'https://x.test/'\nstale_after = 36\n", "feed[0].stale_after"},
		{"database_too_small", "[store]\nmax_db_size = '1MiB'\n", "store.max_db_size: 1MiB: must be 0B or at least 32MiB"},
		{"feed_twice", strings.Repeat("[[feed]]\nname = 'a'\nformat = 'osv'\nurl = 'https://x.test/'\n", 2), "feed[1].name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseConfig([]byte(c.text), ".", nil)
			require.ErrorIs(t, err, clair.ErrInvalid)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// Beyond loopback, authentication is required.
func TestConfig_BeyondLoopback(t *testing.T) {
	const listen = "listen = '0.0.0.0:6060'\n"
	for name, text := range map[string]string{
		"psk": "[auth]\npsk = 'c2VjcmV0'\n", "psk_file": "[auth]\npsk_file = 'key'\n", "insecure": "[auth]\ninsecure = true\n",
		"token": "[[auth.token]]\nname = 'a'\nrole = 'read'\ntoken = '0123456789abcdef'\n",
	} {
		_, err := parseConfig([]byte(listen+text), ".", nil)
		require.NoError(t, err, name)
	}
	_, err := parseConfig([]byte(listen+"[auth]\nissuers = ['quay']\n"), ".", nil)
	require.ErrorContains(t, err, "auth.insecure = true")
}

// Errors about a secret do not contain it.
func TestConfig_KeepsSecrets(t *testing.T) {
	_, err := parseConfig([]byte("[auth]\npsk = 'hunter2!'\n[[auth.token]]\nname = 'a'\ntoken = 'hunter3'\nrole = 'read'\n"), ".", nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter")
}

func TestConfig_Environment(t *testing.T) {
	c, err := parseConfig([]byte("listen = '127.0.0.1:1'"), ".", []string{
		"HOME=/root", "ORIEL_LISTEN=127.0.0.1:2", "ORIEL_STORE_PATH=x.db", "ORIEL_MEMORY_LIMIT=96MiB",
		"ORIEL_UPDATER_AT_START=false", "ORIEL_UPDATER_KEEP=3", "ORIEL_UPDATER_INTERVAL=1h", "ORIEL_LOG_LEVEL=debug",
		"ORIEL_MATCHER_ENRICHERS=kev,cvss", "ORIEL_MATCHER_KEV_TIMEOUT=3s",
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", c.Listen)
	require.Equal(t, "x.db", c.Store.Path)
	require.EqualValues(t, 96<<20, c.Memory.Limit)
	require.False(t, c.Updater.AtStart)
	require.Equal(t, []string{"kev", "cvss"}, c.Matcher.Enrichers)
	require.EqualValues(t, 3*time.Second, c.Matcher.KEV.Timeout)
	require.Equal(t, 3, c.Updater.Keep)
	require.Equal(t, "DEBUG", c.Log.Level.String())
	for _, e := range []string{"ORIEL_STORE_PTH=x", "ORIEL_UPDATER_KEEP=ten", "ORIEL_UPDATER_AT_START=perhaps", "ORIEL_MEMORY_LIMIT=much"} {
		name, _, _ := strings.Cut(e, "=")
		_, err := parseConfig(nil, ".", []string{e})
		require.ErrorIs(t, err, clair.ErrInvalid)
		require.ErrorContains(t, err, name)
	}
}

func TestConfig_Files(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load("", nil, assets(t))
	require.NoError(t, err)
	require.NotEmpty(t, c.Feeds, "the built-in feeds, if there is no file")
	require.NoError(t, os.WriteFile("oriel.toml", []byte("[store]\npath = 'here.db'\n"), 0o600))
	c, err = Load("", nil, assets(t))
	require.NoError(t, err)
	require.Equal(t, "here.db", c.Store.Path)
	require.Empty(t, c.Feeds)
	_, err = Load("missing.toml", nil, assets(t))
	require.ErrorIs(t, err, os.ErrNotExist)

	// A relative file is relative to the configuration.
	require.NoError(t, os.Mkdir("conf", 0o700))
	require.NoError(t, os.WriteFile("conf/a.toml", []byte("[[feed]]\nname='a'\nformat='osv'\nurl='file:feeds/all.zip'\n"), 0o600))
	c, err = Load("conf/a.toml", nil, assets(t))
	require.NoError(t, err)
	require.Equal(t, filepath.Join("conf", "feeds", "all.zip"), c.Feeds[0].URL)
}
