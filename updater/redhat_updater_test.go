package updater

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
	"oriel/internal/fetch"
)

// upstream is a server of files that remembers what was asked of it.
type upstream struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{files: map[string][]byte{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		body, ok := u.files[r.URL.Path]
		u.asked = append(u.asked, r.URL.Path)
		u.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(u.Close)
	return u
}

// requests returns the requests since the last call.
func (u *upstream) requests() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	asked := u.asked
	u.asked = nil
	return asked
}

func newUpdater(t testing.TB, table map[string]any) clair.Updater {
	t.Helper()
	all := Formats()
	f, err := all.ParseFeed(table, "feed", t.TempDir())
	require.NoError(t, err)
	u, err := all.New(f, fetch.New(fetch.Config{Retries: -1, TempDir: t.TempDir()}))
	require.NoError(t, err)
	return u
}

func compressed(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return z.EncodeAll(b, nil)
}

// TestVEXUpdater follows a feed through a whole fetch, nothing new, a changed
// document and a deleted one: only what changed may be asked for.
func TestVEXUpdater(t *testing.T) {
	ctx := context.Background()
	doc := string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))
	as := func(id string) string { return strings.ReplaceAll(doc, "CVE-2022-0778", id) }
	up := newUpstream(t)
	up.files["/vex/archive_latest.txt"] = []byte("csaf_vex_2024-11-05.tar.zst\n")
	up.files["/vex/csaf_vex_2024-11-05.tar.zst"] = compressed(t, feedtest.ArchiveOf(t,
		"2022/cve-2022-0001.json", as("CVE-2022-0001"), "2022/cve-2022-0002.json", as("CVE-2022-0002"), "2022/cve-2022-0778.json", doc))
	up.files["/vex/changes.csv"] = []byte("\"2022/cve-2022-0778.json\",\"2024-11-01T00:00:00+00:00\"\n")
	up.files["/vex/deletions.csv"] = []byte("")
	u := newUpdater(t, map[string]any{"name": "rhel-vex", "format": "redhat-vex", "url": up.URL + "/vex/"}).(feed.DeltaUpdater)

	read := func(last clair.Fingerprint) (whole bool, replaced, found []string, fp clair.Fingerprint) {
		t.Helper()
		r, fp, err := u.FetchDelta(ctx, last)
		require.NoError(t, err)
		d, err := u.ParseDelta(ctx, r)
		require.NoError(t, err)
		if !d.Whole {
			d.Rows = func(yield func(*clair.Vulnerability, error) bool) {
				for c, err := range d.Changes {
					if c.Replaced != "" {
						replaced = append(replaced, c.Replaced)
					} else if !yield(c.Added, err) {
						return
					}
				}
			}
		}
		found, skipped, err := feedtest.Collect(d.Rows)
		require.NoError(t, err)
		require.Empty(t, skipped)
		require.NoError(t, r.Close())
		return d.Whole, replaced, found, fp
	}
	whole, _, found, fp := read("")
	require.True(t, whole)
	require.Len(t, found, 6)
	require.Equal(t, []string{"/vex/archive_latest.txt", "/vex/changes.csv", "/vex/deletions.csv", "/vex/csaf_vex_2024-11-05.tar.zst"}, up.requests())

	_, _, err := u.FetchDelta(ctx, fp)
	require.ErrorIs(t, err, clair.ErrUnchanged)
	_, _, err = u.Fetch(ctx, fp)
	require.ErrorIs(t, err, clair.ErrUnchanged)
	up.requests()

	up.files["/vex/changes.csv"] = []byte("\"2022/cve-2022-0778.json\",\"2024-11-06T00:00:00+00:00\"\n\"2022/cve-2022-0001.json\",\"2024-11-01T00:00:00+00:00\"\n")
	up.files["/vex/2022/cve-2022-0778.json"] = []byte(strings.ReplaceAll(doc, "6.el8_5?", "7.el8_5?"))
	whole, replaced, found, fp := read(fp)
	require.False(t, whole)
	require.Equal(t, []string{"CVE-2022-0778"}, replaced)
	require.Len(t, found, 2)
	require.True(t, slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "<1:1.1.1k-7.el8_5") }))
	require.Equal(t, []string{"/vex/changes.csv", "/vex/deletions.csv", "/vex/2022/cve-2022-0778.json"}, up.requests(), "only the changed document is fetched")

	up.files["/vex/deletions.csv"] = []byte("\"2022/cve-2022-0002.json\",\"2024-11-07T00:00:00+00:00\"\n")
	_, replaced, found, _ = read(fp)
	require.Equal(t, []string{"CVE-2022-0002"}, replaced)
	require.Empty(t, found)

	// A whole fetch now has the new state as well.
	r, _, err := u.Fetch(ctx, fp)
	require.NoError(t, err)
	found, _, err = feedtest.Collect(u.Parse(ctx, r))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Len(t, found, 4)
	require.False(t, slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "k-6.el8_5") && strings.Contains(s, "0778") }))
}

// TestVEXUpdater_Bad has feeds that must not become operations.
func TestVEXUpdater_Bad(t *testing.T) {
	up := newUpstream(t)
	u := newUpdater(t, map[string]any{"name": "rhel-vex", "format": "redhat-vex", "url": up.URL + "/"})
	fails := func(why string) {
		t.Helper()
		r, _, err := u.Fetch(context.Background(), "")
		if err == nil {
			_, _, err = feedtest.Collect(u.Parse(context.Background(), r))
			require.NoError(t, r.Close())
		}
		require.Error(t, err, why)
	}
	fails("nothing is there")
	up.files["/archive_latest.txt"] = []byte("../../etc/2024-11-05.tar")
	fails("the archive is elsewhere")
	archive := compressed(t, feedtest.ArchiveOf(t, "2022/cve-2022-0778.json", string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))))
	up.files["/archive_latest.txt"] = []byte("csaf_vex_2024-11-05.tar.zst")
	up.files["/csaf_vex_2024-11-05.tar.zst"] = archive
	fails("there is no list of changes")
	up.files["/changes.csv"] = []byte("2022/cve-2022-0778.json")
	fails("the list of changes is garbled")
	up.files["/changes.csv"] = []byte("2022/cve-2022-0001.json,2024-11-01T00:00:00Z\n")
	up.files["/csaf_vex_2024-11-05.tar.zst"] = archive[:len(archive)/2]
	fails("the archive is cut")
}

// TestVEXUpdater_Files reads a directory of this machine, where a document
// that is listed but missing is counted and harms nothing else.
func TestVEXUpdater_Files(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	write("archive_latest.txt", []byte("csaf_vex_2024-11-05.tar"))
	write("csaf_vex_2024-11-05.tar", feedtest.ArchiveOf(t, "2022/cve-2022-0778.json", string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))))
	write("changes.csv", []byte("2022/cve-2022-0001.json,2024-11-06T00:00:00Z\n"))
	u := newUpdater(t, map[string]any{"name": "rhel-vex", "format": "redhat-vex", "url": "file://" + dir + "/"})
	r, _, err := u.Fetch(context.Background(), "")
	require.NoError(t, err)
	found, skipped, err := feedtest.Collect(u.Parse(context.Background(), r))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Len(t, found, 2)
	require.Len(t, skipped, 1)
}

func TestRepository(t *testing.T) {
	ctx := context.Background()
	up := newUpstream(t)
	body := feedtest.Fixture(t, "updateinfo", "amazon2.xml")
	packed := compressed(t, body)
	up.files["/mirror.list"] = []byte("file:///etc/\n" + up.URL + "/gone/\n" + up.URL + "/repo\n")
	index := func(sum string) []byte {
		return []byte(`<repomd><data type="updateinfo"><checksum type="sha256">` + sum + `</checksum><location href="repodata/updateinfo.xml.zst"/></data></repomd>`)
	}
	sum := feedtest.SHA256(packed)
	up.files["/repo/repodata/repomd.xml"] = index(sum)
	up.files["/repo/repodata/updateinfo.xml.zst"] = packed
	for _, address := range []string{"/mirror.list", "/repo/", "/repo/repodata/repomd.xml"} {
		u := newUpdater(t, map[string]any{"name": "amazon", "format": "updateinfo", "url": up.URL + address})
		r, fp, err := u.Fetch(ctx, "")
		require.NoError(t, err, address)
		require.Equal(t, clair.Fingerprint("sha256:"+sum), fp)
		found, _, err := feedtest.Collect(u.Parse(ctx, r))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Len(t, found, 1)
		_, _, err = u.Fetch(ctx, fp)
		require.ErrorIs(t, err, clair.ErrUnchanged)
	}
	u := newUpdater(t, map[string]any{"name": "amazon", "format": "updateinfo", "url": up.URL + "/repo/"})
	up.files["/repo/repodata/repomd.xml"] = index(strings.Repeat("0", 64))
	_, _, err := u.Fetch(ctx, "")
	require.ErrorIs(t, err, clair.ErrInvalid, "the file is another than the index says")
	up.files["/repo/repodata/repomd.xml"] = bytes.Replace(index(sum), []byte("repodata/"), []byte("../"), 1)
	_, _, err = u.Fetch(ctx, "")
	require.ErrorIs(t, err, clair.ErrInvalid)
}

// TestFormats_Compressed reads each format plain and compressed, from files.
func TestFormats_Compressed(t *testing.T) {
	for name, table := range map[string]map[string]any{
		"alpine/v3.9-main.json": {"format": "alpine"}, "debian/tracker.json": {"format": "debian"},
		"oval/oracle.xml": {"format": "oval", "release": "ol:7"}, "updateinfo/amazon2.xml": {"format": "updateinfo"},
	} {
		plain := feedtest.Fixture(t, name)
		var first []string
		for i, b := range [][]byte{plain, compressed(t, plain)} {
			path := filepath.Join(t.TempDir(), "feed")
			require.NoError(t, os.WriteFile(path, b, 0o600))
			table["name"], table["url"] = name, path
			u := newUpdater(t, table)
			r, _, err := u.Fetch(context.Background(), "")
			require.NoError(t, err)
			found, _, err := feedtest.Collect(u.Parse(context.Background(), r))
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.NotEmpty(t, found)
			if i == 0 {
				first = found
			}
			require.Equal(t, first, found)
		}
	}
	all := Formats()
	f, err := all.ParseFeed(map[string]any{"name": "a", "format": "alpine", "url": "https://example.com/", "release": "slackware:1"}, "feed", "/")
	require.NoError(t, err)
	_, err = all.New(f, fetch.New(fetch.Config{}))
	require.ErrorIs(t, err, clair.ErrInvalid)
}
