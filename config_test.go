package main

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
// and leaving all of it out but the feeds changes nothing.
func TestConfig_Example(t *testing.T) {
	example, err := parseConfig([]byte(exampleConfig), ".", nil)
	require.NoError(t, err)
	require.NotEmpty(t, example.Feeds)
	empty, err := parseConfig(nil, ".", nil)
	require.NoError(t, err)
	require.Empty(t, empty.Feeds)
	example.Feeds, example.Tables = nil, nil
	require.Equal(t, empty, example)

	var keys map[string]any
	require.NoError(t, toml.Unmarshal([]byte(exampleConfig), &keys))
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
		require.Contains(t, keys, key, "the example lacks %s%s", at, key)
		if table, ok := keys[key].(map[string]any); ok {
			requireKeys(t, of.Field(i).Type, table, at+key+".")
		}
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
		{"unknown_enricher", "[matcher]\nenrichers = ['cvss', 'ssvc']\n", "matcher.enrichers: \"ssvc\" is not one of cvss, epss, kev"},
		{"enricher_twice", "[matcher]\nenrichers = ['kev', 'kev']\n", "matcher.enrichers"},
		{"enricher_without_time", "[matcher.epss]\ntimeout = '0s'\n", "matcher.epss.timeout"},
		{"feed_unknown_key", "[[feed]]\nname = 'a'\nformat = 'osv'\nurl = 'https://x.test/'\nfoo = 1\n", "feed[0].foo"},
		{"feed_unknown_format", "[[feed]]\nname = 'a'\nformat = 'csv'\nurl = 'https://x.test/'\n", "feed[0].format"},
		{"feed_twice", strings.Repeat("[[feed]]\nname = 'a'\nformat = 'osv'\nurl = 'https://x.test/'\n", 2), "feed[1].name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseConfig([]byte(c.text), ".", nil)
			require.ErrorIs(t, err, clair.ErrInvalid)
			require.ErrorContains(t, err, c.says)
		})
	}
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
	c, err := loadConfig("", nil)
	require.NoError(t, err)
	require.NotEmpty(t, c.Feeds, "the built-in feeds where there is no file")
	require.NoError(t, os.WriteFile("oriel.toml", []byte("[store]\npath = 'here.db'\n"), 0o600))
	c, err = loadConfig("", nil)
	require.NoError(t, err)
	require.Equal(t, "here.db", c.Store.Path)
	require.Empty(t, c.Feeds)
	_, err = loadConfig("missing.toml", nil)
	require.ErrorIs(t, err, os.ErrNotExist)

	// A relative file is relative to the configuration.
	require.NoError(t, os.Mkdir("conf", 0o700))
	require.NoError(t, os.WriteFile("conf/a.toml", []byte("[[feed]]\nname='a'\nformat='osv'\nurl='file:feeds/all.zip'\n"), 0o600))
	c, err = loadConfig("conf/a.toml", nil)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("conf", "feeds", "all.zip"), c.Feeds[0].URL)
}
