package updater

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
)

// TestManager_RedHatDelta follows a directory of documents: each update asks
// for what changed alone, and leads to what a whole import leads to.
func TestManager_RedHatDelta(t *testing.T) {
	doc := string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))
	as := func(id string) string { return strings.ReplaceAll(doc, "CVE-2022-0778", id) }
	up := newUpstream(t)
	table := map[string]any{"name": "rhel-vex", "format": "redhat-vex", "url": up.URL + "/"}
	m, db := newManager(t, nil, newUpdater(t, table))
	var archived []string
	for i := range 40 {
		id := fmt.Sprintf("CVE-2022-%04d", i)
		archived = append(archived, "2022/"+strings.ToLower(id)+".json", as(id))
	}
	up.files["/archive_latest.txt"] = []byte("csaf_vex_2024-11-05.tar.zst\n")
	up.files["/csaf_vex_2024-11-05.tar.zst"] = compressed(t, feedtest.ArchiveOf(t, archived...))
	up.files["/changes.csv"] = []byte("2022/cve-2022-0001.json,2024-11-01T00:00:00Z\n")
	up.files["/deletions.csv"] = []byte("")
	run := func() Result {
		t.Helper()
		res, err := m.Update(t.Context())
		require.NoError(t, err)
		return res[0]
	}
	asWhole := func() {
		t.Helper()
		fresh, other := newManager(t, nil, newUpdater(t, table))
		_, err := fresh.Update(t.Context())
		require.NoError(t, err)
		require.Equal(t, contents(t, other, "rhel-vex"), contents(t, db, "rhel-vex"))
	}
	require.EqualValues(t, 80, run().Operations[0].Added)
	asWhole()
	up.requests()

	// One document changes, one is new, one is deleted.
	up.files["/changes.csv"] = []byte("2022/cve-2022-0003.json,2024-11-06T00:00:00Z\n2022/cve-2022-0100.json,2024-11-06T00:00:00Z\n2022/cve-2022-0001.json,2024-11-01T00:00:00Z\n")
	up.files["/deletions.csv"] = []byte("2022/cve-2022-0002.json,2024-11-06T00:00:00Z\n")
	up.files["/2022/cve-2022-0003.json"] = []byte(strings.ReplaceAll(as("CVE-2022-0003"), "6.el8_5?", "7.el8_5?"))
	up.files["/2022/cve-2022-0100.json"] = []byte(as("CVE-2022-0100"))
	op := run().Operations[0]
	require.Equal(t, []string{"/changes.csv", "/deletions.csv", "/2022/cve-2022-0003.json", "/2022/cve-2022-0100.json"}, up.requests())
	require.EqualValues(t, []int64{3, 3, 77}, []int64{op.Added, op.Removed, op.Unchanged}, "2 new rows and 1 changed; 2 deleted and 1 changed")
	require.EqualValues(t, 80, status(t, m, "rhel-vex").Records)
	asWhole()
	up.requests()

	require.True(t, run().Unchanged())
	require.Equal(t, []string{"/changes.csv", "/deletions.csv"}, up.requests())

	// A document that cannot be read keeps its old rows, and is counted.
	before := contents(t, db, "rhel-vex")
	up.files["/changes.csv"] = append([]byte("2022/cve-2022-0005.json,2024-11-07T00:00:00Z\n"), up.files["/changes.csv"]...)
	up.files["/2022/cve-2022-0005.json"] = []byte(`{"document": 7}`)
	res := run()
	require.EqualValues(t, 1, res.Skipped)
	require.EqualValues(t, 82-2, res.Operations[0].Unchanged)
	require.Equal(t, before, contents(t, db, "rhel-vex"))
	require.EqualValues(t, 1, status(t, m, "rhel-vex").Skipped)

	// The newest operation is deleted: what changed since the one before is
	// fetched, for that is what is current.
	_, err := db.DeleteUpdateOperations(t.Context(), res.Operations[0].Ref)
	require.NoError(t, err)
	up.files["/2022/cve-2022-0005.json"] = []byte(strings.ReplaceAll(as("CVE-2022-0005"), "6.el8_5?", "8.el8_5?"))
	up.requests()
	run()
	require.Subset(t, up.requests(), []string{"/2022/cve-2022-0005.json"})
	asWhole()
}

// deltas is an updater of changes whose far side the test plays.
type deltas struct {
	fake
	changes func(func(clair.Change, error) bool)
	err     error
}

func (d *deltas) FetchDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	if d.err != nil {
		return nil, "", d.err
	}
	return io.NopCloser(strings.NewReader("")), "delta", nil
}

func (d *deltas) ParseDelta(context.Context, io.ReadCloser) (feed.Delta, error) {
	return feed.Delta{Changes: d.changes}, nil
}

func someChanges(bad int, all ...clair.Change) iter.Seq2[clair.Change, error] {
	return func(yield func(clair.Change, error) bool) {
		for _, c := range all {
			if !yield(c, nil) {
				return
			}
		}
		for i := range bad {
			if !yield(clair.Change{}, feed.Skip(fmt.Sprint(i), io.ErrNoProgress)) {
				return
			}
		}
	}
}

func TestManager_Delta(t *testing.T) {
	d := &deltas{fake: fake{name: "d", parse: rowsOf(5, 0)}}
	m, _ := newManager(t, nil, d)
	run := func() (Result, error) {
		res, err := m.Update(t.Context())
		return res[0], err
	}
	res, err := run()
	require.NoError(t, err)
	require.EqualValues(t, 5, res.Operations[0].Added)
	require.Equal(t, 1, d.runs, "the first is whole")

	d.changes = someChanges(3, feed.ReplacedAdvisory("V-1"), clair.Change{Added: vuln("W")}, clair.Change{Removed: vuln("V-2")})
	res, err = run()
	require.NoError(t, err)
	require.Equal(t, 1, d.runs)
	require.EqualValues(t, []int64{1, 2, 3, 3}, []int64{res.Operations[0].Added, res.Operations[0].Removed, res.Operations[0].Unchanged, res.Skipped})

	d.changes = someChanges(30, feed.ReplacedAdvisory("V-3"))
	_, err = run()
	require.ErrorIs(t, err, clair.ErrInvalid, "hardly anything of it can be used")

	// After a failure the base is still right.
	d.changes = someChanges(0, feed.ReplacedAdvisory("V-3"))
	res, err = run()
	require.NoError(t, err)
	require.EqualValues(t, []int64{0, 1, 3}, []int64{res.Operations[0].Added, res.Operations[0].Removed, res.Operations[0].Unchanged})

	// What does not fit, or does not reach back, is fetched whole.
	d.changes = someChanges(2, clair.Change{Removed: vuln("nobody has it")})
	res, err = run()
	require.NoError(t, err)
	require.Equal(t, 2, d.runs)
	require.EqualValues(t, 5, res.Operations[0].Added+res.Operations[0].Unchanged)
	require.Zero(t, res.Skipped, "what the delta skipped is not of this operation")
	d.err = clair.ErrBase
	_, err = run()
	require.NoError(t, err)
	require.Equal(t, 3, d.runs)
	d.err = io.ErrUnexpectedEOF
	_, err = run()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 3, d.runs)
}
