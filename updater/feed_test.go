package updater

import (
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/internal/quantity"
)

func TestConfig(t *testing.T) {
	cfg := Default()
	d := toml.NewDecoder(strings.NewReader("interval = \"90m\"\nat_start = false\nkeep = 3\ntimeout = \"5m\"\nstale_after = \"36h\"\nready_after = \"0s\"\nauto = false\nmax_shrink = 0.25\n")).DisallowUnknownFields()
	require.NoError(t, d.Decode(&cfg))
	require.Equal(t, Config{Interval: quantity.Duration(90 * time.Minute), Keep: 3, Timeout: quantity.Duration(5 * time.Minute), StaleAfter: quantity.Duration(36 * time.Hour), MaxShrink: 0.25}, cfg)
	require.NoError(t, cfg.Validate())
	require.Error(t, toml.Unmarshal([]byte(`interval = "soon"`), &cfg))
	text, err := toml.Marshal(Default())
	require.NoError(t, err)
	require.Contains(t, string(text), "6h")

	for field, change := range map[string]func(*Config){
		"updater.interval":    func(c *Config) { c.Interval = quantity.Duration(time.Second) },
		"updater.keep":        func(c *Config) { c.Keep = 0 },
		"updater.timeout":     func(c *Config) { c.Timeout = 0 },
		"updater.stale_after": func(c *Config) { c.StaleAfter = -1 },
		"updater.ready_after": func(c *Config) { c.ReadyAfter = -1 },
		"updater.max_shrink":  func(c *Config) { c.MaxShrink = 1.5 },
	} {
		cfg := Default()
		change(&cfg)
		var e *clair.InvalidError
		require.ErrorAs(t, cfg.Validate(), &e)
		require.Equal(t, field, e.Field)
	}
	cfg = Default()
	cfg.Interval = 0
	require.NoError(t, cfg.Validate())
}

// tables parses [[feed]] tables as the program's configuration does.
func tables(t *testing.T, text string) []map[string]any {
	t.Helper()
	var doc struct {
		Feed []map[string]any `toml:"feed"`
	}
	require.NoError(t, toml.Unmarshal([]byte(text), &doc))
	return doc.Feed
}

func TestParseFeeds(t *testing.T) {
	feeds, err := Formats().ParseFeeds(tables(t, `
		[[feed]]
		name = "osv/Go"
		format = "osv"
		url = "https://example.test/Go/all.zip"
		ecosystems = ["Go", "npm"]
		max_size = "1 GiB"
		[[feed]]
		name = "local"
		format = "osv"
		url = "file:feeds/local"
		enabled = false
		max_size = 4096
		[[feed]]
		name = "absolute"
		format = "osv"
		url = "file:///srv/feed.json"
	`), "/etc/oriel")
	require.NoError(t, err)
	require.Len(t, feeds, 3)
	require.Equal(t, []string{"Go", "npm"}, feeds[0].Strings("ecosystems"))
	require.Equal(t, int64(1<<30), feeds[0].Bytes(feed.MaxSizeOption))
	require.True(t, feeds[0].Enabled)
	require.Equal(t, "/etc/oriel/feeds/local", feeds[1].URL)
	require.False(t, feeds[1].Enabled)
	require.Equal(t, int64(4096), feeds[1].Bytes(feed.MaxSizeOption))
	require.Equal(t, "file:///srv/feed.json", feeds[2].URL)

	u, err := Formats().New(feeds[0], fetch.New(fetch.Config{}))
	require.NoError(t, err)
	require.Equal(t, "osv/Go", u.Name())
	_, err = Formats().New(feed.Feed{Format: "nonesuch"}, nil)
	require.ErrorIs(t, err, clair.ErrInvalid)

	// What decides the outcome is part of the revision; the name is not.
	other := feeds[0]
	other.Options = map[string]any{"ecosystems": []string{"Go"}}
	w, err := Formats().New(other, fetch.New(fetch.Config{}))
	require.NoError(t, err)
	require.NotEqual(t, u.(feed.Versioned).Revision(), w.(feed.Versioned).Revision())
}

func TestParseFeeds_Refuses(t *testing.T) {
	const good = "[[feed]]\nname = \"n\"\nformat = \"osv\"\nurl = \"https://example.test/\"\n"
	for text, field := range map[string]string{
		good + good: "feed[1].name: ",
		"[[feed]]\nformat = \"osv\"\nurl = \"x\"\n":                                 "feed[0].name: ",
		good + "[[feed]]\nname = \"a,b\"\nformat = \"osv\"\nurl = \"x\"\n":          "feed[1].name: ",
		"[[feed]]\nname = \"n\"\nurl = \"x\"\n":                                     "feed[0].format: ",
		"[[feed]]\nname = \"n\"\nformat = \"odd\"\nurl = \"x\"\n":                   "feed[0].format: ",
		"[[feed]]\nname = \"n\"\nformat = \"osv\"\n":                                "feed[0].url: ",
		"[[feed]]\nname = \"n\"\nformat = \"osv\"\nurl = \"ftp://example.test/\"\n": "feed[0].url: ",
		good + "enabled = 1\n":                                                      "feed[0].enabled: ",
		good + "ecosystem = [\"Go\"]\n":                                             "feed[0].ecosystem: unknown key",
		good + "ecosystems = \"Go\"\n":                                              "feed[0].ecosystems: ",
		good + "ecosystems = [\"\"]\n":                                              "feed[0].ecosystems: ",
		good + "max_size = 0\n":                                                     "feed[0].max_size: ",
		good + "max_size = \"much\"\n":                                              "feed[0].max_size: ",
		good + "max_size = \"9999999999999GiB\"\n":                                  "feed[0].max_size: ",
		good + "max_size = [1]\n":                                                   "feed[0].max_size: ",
	} {
		_, err := Formats().ParseFeeds(tables(t, text), "")
		require.ErrorIs(t, err, clair.ErrInvalid, text)
		require.Contains(t, err.Error(), field)
	}
}

func TestOptions(t *testing.T) {
	r := feed.Registry{{Name: "f", Options: []feed.Option{feed.TextOption("mode", "a", "b"), feed.TextOption("free")}}}
	table := map[string]any{"name": "n", "format": "f", "url": "x", "mode": "a", "free": "text"}
	f, err := r.ParseFeed(table, "feed[0]", "/")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "text"}, []string{f.Text("mode"), f.Text("free")})
	for key, wrong := range map[string]any{"mode": "c", "free": int64(1)} {
		old := table[key]
		table[key] = wrong
		_, err := r.ParseFeed(table, "feed[0]", "/")
		require.ErrorContains(t, err, "feed[0]."+key)
		table[key] = old
	}
}
