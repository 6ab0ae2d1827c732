package updater

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/fetch"
)

// Facts of two real advisories, in words of our own.
const (
	goRecord = `{"schema_version":"1.3.1","id":"GO-2023-1988","modified":"2024-05-20T16:03:47Z","published":"2023-08-02T15:09:42Z",
		"aliases":["CVE-2023-3978","GHSA-2wrh-6pvc-2jm9","GO-2023-1988"],"summary":"Cross-site scripting in golang.org/x/net/html",
		"details":"Text nodes outside of the HTML namespace are rendered without being escaped.",
		"affected":[{"package":{"name":"golang.org/x/net","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.13.0"}]}],
			"ecosystem_specific":{"imports":[{"path":"golang.org/x/net/html","symbols":["Render"]}]}}],
		"references":[{"type":"REPORT","url":"https://go.dev/issue/61615"},{"type":"FIX","url":"https://go.dev/cl/514896"},{"url":"https://go.dev/issue/61615"}]}`
	pyRecord = `{"id":"PYSEC-2023-175","modified":"2023-09-20T00:00:00Z","published":"2023-09-15T00:00:00Z","aliases":["CVE-2023-4863"],
		"details":"Pillow bundled a libwebp with a heap overflow.",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"PyPI","name":"Pillow"},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"10.0.1"}]},{"type":"GIT","repo":"https://example.test/p","events":[{"introduced":"0"}]}],
			"versions":["1.0","9.5.0","10.0.0"]}]}`
)

// newOSV makes the updater of a path or URL with further keys of its table.
func newOSV(t testing.TB, url string, more map[string]any) clair.Updater {
	t.Helper()
	table := map[string]any{"name": "osv/test", "format": "osv", "url": url}
	for k, v := range more {
		table[k] = v
	}
	feeds, err := Formats().ParseFeeds([]map[string]any{table}, "")
	require.NoError(t, err)
	u, err := Formats().New(feeds[0], fetch.New(fetch.Config{Retries: -1}))
	require.NoError(t, err)
	return u
}

// parsed is what a feed gave.
type parsed struct {
	rows    []*clair.Vulnerability
	skipped []*clair.RecordError
	err     error
}

func parseAll(t testing.TB, u clair.Updater) (p parsed) {
	t.Helper()
	r, _, err := u.Fetch(t.Context(), "")
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for v, err := range u.Parse(t.Context(), r) {
		require.NoError(t, p.err, "something came after the last error")
		e, isSkip := errors.AsType[*clair.RecordError](err)
		switch {
		case err == nil:
			p.rows = append(p.rows, v)
		case isSkip:
			p.skipped = append(p.skipped, e)
		default:
			p.err = err
		}
	}
	return p
}

// parseText writes a feed to a file and parses it.
func parseText(t testing.TB, text []byte) parsed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "feed")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return parseAll(t, newOSV(t, path, nil))
}

func zipOf(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, r := range records {
		f, err := w.Create(fmt.Sprintf("%d.json", i))
		require.NoError(t, err)
		_, err = f.Write([]byte(r))
		require.NoError(t, err)
	}
	f, err := w.Create("README.md")
	require.NoError(t, err)
	_, err = f.Write([]byte("no record"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func tarOf(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, r := range records {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("osv/%d.json", i), Mode: 0o600, Size: int64(len(r)), Format: tar.FormatPAX}))
		_, err := w.Write([]byte(r))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestOSV_Row(t *testing.T) {
	p := parseText(t, []byte(goRecord))
	require.NoError(t, p.err)
	require.Empty(t, p.skipped)
	require.Equal(t, []*clair.Vulnerability{{
		Name:        "GO-2023-1988",
		Description: "Cross-site scripting in golang.org/x/net/html\n\nText nodes outside of the HTML namespace are rendered without being escaped.",
		Issued:      time.Date(2023, 8, 2, 15, 9, 42, 0, time.UTC), Links: "https://go.dev/issue/61615 https://go.dev/cl/514896",
		Package:        &clair.Package{Name: "golang.org/x/net", Kind: clair.Binary},
		Repo:           &clair.Repository{Name: "go", URI: "https://pkg.go.dev/"},
		FixedInVersion: "fixed=0.13.0", Aliases: []string{"CVE-2023-3978", "GHSA-2wrh-6pvc-2jm9"},
	}}, p.rows)

	p = parseText(t, []byte(pyRecord))
	require.NoError(t, p.err)
	require.Len(t, p.rows, 1, "all listed versions lie in the range")
	require.Equal(t, "pillow", p.rows[0].Package.Name)
	require.Equal(t, "fixed=10.0.1", p.rows[0].FixedInVersion)
	require.Equal(t, "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", p.rows[0].Severity)
	require.Equal(t, clair.High, p.rows[0].NormalizedSeverity)
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
		"zip": zipOf(t, goRecord, pyRecord), "tar": tarOf(t, goRecord, pyRecord), "tar_gz": zipped(tarOf(t, goRecord, pyRecord)),
		"array": []byte(" [" + goRecord + ",\n" + pyRecord + "]\n"), "lines": []byte(goRecord + "\n" + pyRecord),
		"array_gz": zipped([]byte("[" + goRecord + "," + pyRecord + "]")), "arrays": []byte("[" + goRecord + "] [] [" + pyRecord + "]"),
	} {
		p := parseText(t, feed)
		require.NoError(t, p.err, name)
		require.Empty(t, p.skipped, name)
		require.Len(t, p.rows, 2, name)
		require.Equal(t, "GO-2023-1988", p.rows[0].Name, name)
		require.Equal(t, "PYSEC-2023-175", p.rows[1].Name, name)
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "a.json"), []byte(goRecord), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.json"), []byte(pyRecord), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("no record"), 0o600))
	p := parseAll(t, newOSV(t, dir, nil))
	require.NoError(t, p.err)
	require.Len(t, p.rows, 2)
	p = parseAll(t, newOSV(t, dir, map[string]any{"ecosystems": []any{"PyPI"}}))
	require.NoError(t, p.err)
	require.Len(t, p.rows, 1)

	u := newOSV(t, dir, nil)
	n := 0
	for _, err := range u.Parse(t.Context(), io.NopCloser(strings.NewReader(goRecord))) {
		require.NoError(t, err, "a reader that is not a file")
		n++
	}
	require.Equal(t, 1, n)
}

func TestOSV_BadFeeds(t *testing.T) {
	good := zipOf(t, goRecord)
	for name, feed := range map[string][]byte{
		"nothing": nil, "spaces": []byte("  \n"), "not_a_zip": []byte("<html>not a zip</html>"), "zip_in_name_only": []byte("PK\x03\x04 and so on"),
		"half_a_zip": good[:len(good)/2], "empty_zip": zipOf(t), "empty_array": []byte("[]"), "half_an_array": []byte("[" + goRecord + ","),
		"half_a_record": []byte(goRecord[:100]), "half_a_tar": tarOf(t, goRecord)[:700], "trailing": []byte(goRecord + "]"),
		"deep":       []byte(strings.Repeat("[", 100000)),
		"deep_value": []byte(`{"id":"X","database_specific":` + strings.Repeat(`{"severity":`, 20000)),
	} {
		p := parseText(t, feed)
		require.Error(t, p.err, name)
	}
	p := parseAll(t, newOSV(t, t.TempDir(), nil))
	require.ErrorIs(t, p.err, clair.ErrInvalid, "an empty directory")
	big := append([]byte(`{"id":"X","details":"`), bytes.Repeat([]byte("x"), maxRecord+1<<20)...)
	require.ErrorIs(t, parseText(t, append(big, `"}`...)).err, clair.ErrTooLarge)
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
		"withdrawn":              {strings.Replace(goRecord, `"id"`, `"withdrawn":"2024-01-01T00:00:00Z","id"`, 1), 0, 0},
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
			p := parseText(t, zipOf(t, c.record, pyRecord))
			require.NoError(t, p.err)
			require.Len(t, p.rows, c.rows+1)
			require.Len(t, p.skipped, c.skipped, "%v", p.skipped)
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
			require.NoError(t, p.err)
			require.Len(t, p.rows, 1)
			require.Equal(t, c.text, p.rows[0].Severity)
			require.Equal(t, c.want, p.rows[0].NormalizedSeverity)
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
	for _, s := range []string{goRecord, pyRecord, `{"id":"X","affected":[{"package":{"ecosystem":"PyPI","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"2"},{"last_affected":"1"}]}],"versions":["3"],"severity":[{"score":"7"}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &osvParser{places: map[string]*osvPlace{}, yield: func(v *clair.Vulnerability, err error) bool {
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
