package osv

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
	"oriel/internal/fetch"
)

// newOSV makes the updater of a path or URL with further keys of its table.
func newOSV(t testing.TB, url string, more map[string]any) clair.Updater {
	t.Helper()
	table := map[string]any{"name": "osv/test", "format": "osv", "url": url}
	for k, v := range more {
		table[k] = v
	}
	feeds, err := feed.Registry{Format()}.ParseFeeds([]map[string]any{table}, "")
	require.NoError(t, err)
	u, err := feed.Registry{Format()}.New(feeds[0], fetch.New(fetch.Config{Retries: -1}))
	require.NoError(t, err)
	return u
}

func TestOSV_Row(t *testing.T) {
	p := parseText(t, []byte(feedtest.GoRecord))
	require.NoError(t, p.Err)
	require.Empty(t, p.Skipped)
	require.Equal(t, []*clair.Vulnerability{{
		Name:        "GO-2023-1988",
		Description: "Cross-site scripting in golang.org/x/net/html\n\nText nodes outside of the HTML namespace are rendered without being escaped.",
		Issued:      time.Date(2023, 8, 2, 15, 9, 42, 0, time.UTC),
		Links: "https://go.dev/issue/61615 https://go.dev/cl/514896 " +
			"https://osv.dev/vulnerability/CVE-2023-3978 https://osv.dev/vulnerability/GHSA-2wrh-6pvc-2jm9",
		Package:        &clair.Package{Name: "golang.org/x/net", Kind: clair.Binary},
		Repo:           &clair.Repository{Name: "go", URI: "https://pkg.go.dev/"},
		FixedInVersion: "fixed=0.13.0", Aliases: []string{"CVE-2023-3978", "GHSA-2wrh-6pvc-2jm9"},
	}}, p.Rows)

	p = parseText(t, []byte(feedtest.PyRecord))
	require.NoError(t, p.Err)
	require.Len(t, p.Rows, 1, "all listed versions lie in the range")
	require.Equal(t, "pillow", p.Rows[0].Package.Name)
	require.Equal(t, "fixed=10.0.1", p.Rows[0].FixedInVersion)
	require.Equal(t, "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", p.Rows[0].Severity)
	require.Equal(t, clair.High, p.Rows[0].NormalizedSeverity)
}

// TestOSV_Containers has the same two records in every form there is.
func TestOSV_Containers(t *testing.T) {
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, err := w.Write(b)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return out.Bytes()
	}
	for name, feed := range map[string][]byte{
		"zip": feedtest.ZipOf(t, feedtest.GoRecord, feedtest.PyRecord), "tar": feedtest.TarOf(t, feedtest.GoRecord, feedtest.PyRecord), "tar_gz": zipped(feedtest.TarOf(t, feedtest.GoRecord, feedtest.PyRecord)),
		"array": []byte(" [" + feedtest.GoRecord + ",\n" + feedtest.PyRecord + "]\n"), "lines": []byte(feedtest.GoRecord + "\n" + feedtest.PyRecord),
		"array_gz": zipped([]byte("[" + feedtest.GoRecord + "," + feedtest.PyRecord + "]")), "arrays": []byte("[" + feedtest.GoRecord + "] [] [" + feedtest.PyRecord + "]"),
	} {
		p := parseText(t, feed)
		require.NoError(t, p.Err, name)
		require.Empty(t, p.Skipped, name)
		require.Len(t, p.Rows, 2, name)
		require.Equal(t, "GO-2023-1988", p.Rows[0].Name, name)
		require.Equal(t, "PYSEC-2023-175", p.Rows[1].Name, name)
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "a.json"), []byte(feedtest.GoRecord), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.json"), []byte(feedtest.PyRecord), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("no record"), 0o600))
	p := feedtest.ParseAll(t, newOSV(t, dir, nil))
	require.NoError(t, p.Err)
	require.Len(t, p.Rows, 2)
	p = feedtest.ParseAll(t, newOSV(t, dir, map[string]any{"ecosystems": []any{"PyPI"}}))
	require.NoError(t, p.Err)
	require.Len(t, p.Rows, 1)

	u := newOSV(t, dir, nil)
	n := 0
	for _, err := range u.Parse(t.Context(), io.NopCloser(strings.NewReader(feedtest.GoRecord))) {
		require.NoError(t, err, "a reader that is not a file")
		n++
	}
	require.Equal(t, 1, n)
}

func TestOSV_BadFeeds(t *testing.T) {
	good := feedtest.ZipOf(t, feedtest.GoRecord)
	for name, feed := range map[string][]byte{
		"nothing": nil, "spaces": []byte("  \n"), "not_a_zip": []byte("<html>not a zip</html>"), "zip_in_name_only": []byte("PK\x03\x04 and so on"),
		"half_a_zip": good[:len(good)/2], "empty_zip": feedtest.ZipOf(t), "empty_array": []byte("[]"), "half_an_array": []byte("[" + feedtest.GoRecord + ","),
		"half_a_record": []byte(feedtest.GoRecord[:100]), "half_a_tar": feedtest.TarOf(t, feedtest.GoRecord)[:700], "trailing": []byte(feedtest.GoRecord + "]"),
		"deep":       []byte(strings.Repeat("[", 100000)),
		"deep_value": []byte(`{"id":"X","database_specific":` + strings.Repeat(`{"severity":`, 20000)),
	} {
		p := parseText(t, feed)
		require.Error(t, p.Err, name)
	}
	p := feedtest.ParseAll(t, newOSV(t, t.TempDir(), nil))
	require.ErrorIs(t, p.Err, clair.ErrInvalid, "an empty directory")
	big := append([]byte(`{"id":"X","details":"`), bytes.Repeat([]byte("x"), maxRecord+1<<20)...)
	require.ErrorIs(t, parseText(t, append(big, `"}`...)).Err, clair.ErrTooLarge)
}

func TestOSV_BadRecords(t *testing.T) {
	affected := func(a string) string { return `{"id":"X-1","affected":[` + a + `]}` }
	inGo := func(ranges string) string {
		return affected(`{"package":{"ecosystem":"Go","name":"a"},` + ranges + `}`)
	}
	big := `{"id":"X","details":"` + strings.Repeat("x", maxRecord) + `"}`
	for name, c := range map[string]struct {
		record        string
		rows, skipped int
	}{
		"not_json":               {`{"id":`, 0, 1},
		"not_an_object":          {`[]`, 0, 1},
		"no_id":                  {`{"affected":[]}`, 0, 1},
		"wrong_type":             {`{"id":7}`, 0, 1},
		"huge_number":            {`{"id":"X","affected":1e999999}`, 0, 1},
		"too_large":              {big, 0, 1},
		"withdrawn":              {strings.Replace(feedtest.GoRecord, `"id"`, `"withdrawn":"2024-01-01T00:00:00Z","id"`, 1), 0, 0},
		"nothing_affected":       {`{"id":"X"}`, 0, 0},
		"unknown_ecosystem":      {affected(`{"package":{"ecosystem":"Nonesuch","name":"a"},"versions":["1"]}`), 0, 0},
		"only_commits":           {affected(`{"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}`), 0, 0},
		"package_without_name":   {affected(`{"package":{"ecosystem":"Go"},"versions":["1.0.0"]}`), 0, 1},
		"no_ranges_nor_versions": {inGo(`"ranges":[]`), 0, 1},
		"introduced_nowhere":     {inGo(`"ranges":[{"type":"SEMVER","events":[{"fixed":"1.0.0"}]}]`), 0, 1},
		"half_good":              {inGo(`"ranges":[{"type":"SEMVER","events":[{"fixed":"1.0.0"}]},{"type":"SEMVER","events":[{"introduced":"2.0.0"}]}]`), 1, 1},
		"odd_specifics":          {`{"id":"X","database_specific":"text","affected":[{"package":{"ecosystem":"Go","name":"a"},"versions":["1.0.0"],"ecosystem_specific":{"severity":["x"]},"database_specific":null}]}`, 1, 0},
		"bad_dates":              {`{"id":"X","published":"yesterday","affected":[{"package":{"ecosystem":"Go","name":"a"},"versions":["1.0.0"]}]}`, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := parseText(t, feedtest.ZipOf(t, c.record, feedtest.PyRecord))
			require.NoError(t, p.Err)
			require.Len(t, p.Rows, c.rows+1)
			require.Len(t, p.Skipped, c.skipped, "%v", p.Skipped)
		})
	}
}

func TestOSV_Severity(t *testing.T) {
	record := func(of, affected string) []byte {
		return []byte(`{"id":"X"` + of + `,"affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.0.0"]` + affected + `}]}`)
	}
	const v3, v4, v2 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", "AV:N/AC:L/Au:N/C:P/I:P/A:P"
	score := func(v string) string { return `{"score":"` + v + `"}` }
	for name, c := range map[string]struct {
		feed []byte
		text string
		want clair.Severity
	}{
		"none":                    {record(``, ``), "", clair.Unknown},
		"version_3_before_4":      {record(`,"severity":[`+score(v4)+`,`+score(v3)+`]`, ``), v3, clair.Critical},
		"version_4_before_2":      {record(`,"severity":[`+score(v2)+`,`+score(v4)+`]`, ``), v4, clair.Medium},
		"version_2":               {record(`,"severity":[`+score(v2)+`]`, ``), v2, clair.High},
		"unreadable_then_another": {record(`,"severity":[`+score("CVSS:3.1/AV:X")+`,`+score(v2)+`]`, ``), v2, clair.High},
		"only_unreadable":         {record(`,"severity":[`+score("CVSS:3.1/AV:X")+`]`, ``), "CVSS:3.1/AV:X", clair.Unknown},
		"the_database's_word":     {record(`,"database_specific":{"severity":"MODERATE"}`, ``), "MODERATE", clair.Medium},
		"the_entry_overrides":     {record(`,"severity":[`+score(v3)+`]`, `,"severity":[`+score(v2)+`]`), v2, clair.High},
		"the_ecosystem's_word":    {record(``, `,"ecosystem_specific":{"severity":"low"}`), "low", clair.Low},
		"a_distribution's_word":   {record(`,"severity":[{"type":"Ubuntu","score":"negligible"}]`, ``), "negligible", clair.Negligible},
	} {
		t.Run(name, func(t *testing.T) {
			p := parseText(t, c.feed)
			require.NoError(t, p.Err)
			require.Len(t, p.Rows, 1)
			require.Equal(t, c.text, p.Rows[0].Severity)
			require.Equal(t, c.want, p.Rows[0].NormalizedSeverity)
		})
	}
}

func TestDescribe(t *testing.T) {
	require.Equal(t, "a", describe("a", " "))
	require.Equal(t, "b", describe("", "b"))
	require.Equal(t, "a, and more", describe("a", "a, and more"))
	require.Equal(t, "a\n\nb", describe("a", "b"))
	long := describe("", strings.Repeat("é", maxDescription))
	require.LessOrEqual(t, len(long), maxDescription+len("…"))
	require.True(t, strings.HasSuffix(long, "é…"))
}

func FuzzOSVRecord(f *testing.F) {
	for _, s := range []string{feedtest.GoRecord, feedtest.PyRecord, `{"id":"X","affected":[{"package":{"ecosystem":"PyPI","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"2"},{"last_affected":"1"}]}],"versions":["3"],"severity":[{"score":"7"}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &parser{places: map[string]*osvPlace{}, yield: func(v *clair.Vulnerability, err error) bool {
			if err == nil {
				if v.Name == "" || v.Package.Name == "" || v.Repo == nil {
					t.Fatalf("a row that nobody can use: %+v", v)
				}
				if _, err := clair.ParseBounds(v.FixedInVersion); err != nil {
					t.Fatalf("bounds %q: %v", v.FixedInVersion, err)
				}
				if _, err := json.Marshal(v); err != nil {
					t.Fatal(err)
				}
			}
			return true
		}}
		if err := p.take("fuzz", b, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// parseText writes a feed to a file and parses it.
func parseText(t testing.TB, text []byte) feedtest.Parsed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "feed")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return feedtest.ParseAll(t, newOSV(t, path, nil))
}

// Rows of distributions have the fix, or else the last affected version, or
// else the versions that are listed.
func TestOSV_DistributionVersions(t *testing.T) {
	for _, c := range []struct{ name, affected, fixed, last string }{
		{"fix", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2-3"}]}],"versions":["1.0-1","9-9"]`, "1.2-3", ""},
		{"last_affected", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"1.2-3"}]}]`, "", "1.2-3"},
		{"introduced_later", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1.0-1"},{"fixed":"1.2-3"}]}]`, "fixed=1.2-3&introduced=1.0-1", ""},
		{"listed", `"versions":["1.2-3","1.0-1","1.2-3"]`, "versions=1.0-1%2C1.2-3", ""},
		{"listed_next_to_commits", `"ranges":[{"type":"GIT","repo":"https://example.test/r","events":[{"introduced":"0"}]}],"versions":["1.0-1"]`, "versions=1.0-1", ""},
		{"no_fix", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parseText(t, []byte(`{"id":"DSA-1","aliases":["CVE-2024-1"],"affected":[{"package":{"ecosystem":"Debian:12","name":"a"},`+c.affected+`}]}`))
			require.NoError(t, p.Err)
			require.Empty(t, p.Skipped)
			require.Len(t, p.Rows, 1)
			require.Equal(t, c.fixed, p.Rows[0].FixedInVersion)
			require.Equal(t, c.last, p.Rows[0].Package.Version)
			require.Equal(t, "https://osv.dev/vulnerability/CVE-2024-1", p.Rows[0].Links)
		})
	}
}
