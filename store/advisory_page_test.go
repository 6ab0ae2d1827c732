package store

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// placed are rows in three distributions and two repositories, told apart by
// their names.
func placed(n, change int, text func(i int) string) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for i := range n {
			v := vuln(fmt.Sprint(i))
			v.Description = text(i)
			v.Dist = &clair.Distribution{DID: "d", VersionID: fmt.Sprint(i % 3)}
			v.Repo = nil
			if i%4 == 0 {
				v.Dist, v.Repo = nil, &clair.Repository{Name: fmt.Sprint("r", i%8)}
			}
			if i < change {
				v.FixedInVersion += "&changed=1"
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

func short(i int) string { return fmt.Sprint("about ", i) }

// readSections reads all of some sections and returns the names of their rows.
func readSections(t *testing.T, s *Snapshot, sections []clair.SectionID, limit int, size int64) (names []string, pages int) {
	t.Helper()
	for at := (clair.Cursor{}); ; pages++ {
		p, err := s.Page(t.Context(), sections, at, limit, size)
		require.NoError(t, err)
		require.LessOrEqual(t, len(p.Rows), limit)
		for _, v := range p.Rows {
			names = append(names, v.Name)
			require.Equal(t, []string{"CVE-2024-" + v.Name}, v.Aliases)
			require.Equal(t, "feed", v.Updater)
		}
		if p.Done {
			return names, pages + 1
		}
		if p.Needs > 0 {
			require.Empty(t, p.Rows)
			require.Equal(t, at, p.Next)
			size = max(size, p.Needs)
			continue
		}
		at = p.Next
	}
}

func ids(sections []clair.Section, keep func(clair.Section) bool) (out []clair.SectionID, rows int) {
	for _, s := range sections {
		if keep(s) {
			out = append(out, s.ID)
			rows += s.Rows
		}
	}
	return out, rows
}

func TestSections(t *testing.T) {
	db := openNew(t)
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	empty, err := s.Sections(t.Context())
	require.NoError(t, err)
	require.Empty(t, empty)
	got, _ := readSections(t, s, nil, 10, 1<<20)
	require.Empty(t, got)
	s.Close()

	_, err = db.UpdateVulnerabilities(t.Context(), "feed", "1", placed(240, 0, short))
	require.NoError(t, err)
	first, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer first.Close()
	check := func(s *Snapshot, n int) {
		t.Helper()
		sections, err := s.Sections(t.Context())
		require.NoError(t, err)
		var want []string
		for i := range n {
			if i%4 != 0 && i%3 == 1 {
				want = append(want, fmt.Sprint(i))
			}
		}
		one, rows := ids(sections, func(s clair.Section) bool { return s.Dist != nil && s.Dist.VersionID == "1" })
		require.Equal(t, len(want), rows)
		for _, limit := range []int{1, 7, 1000} {
			got, _ := readSections(t, s, one, limit, 1<<20)
			require.ElementsMatch(t, want, got)
		}
		all, rows := ids(sections, func(clair.Section) bool { return true })
		require.Equal(t, n, rows)
		got, pages := readSections(t, s, all, 7, 1<<20)
		require.Len(t, got, n)
		slices.Sort(got)
		require.Len(t, slices.Compact(got), n)
		require.LessOrEqual(t, pages, n/7+2, "pages go on from one section to the next")
		again, _ := readSections(t, s, all, 50, 5000)
		require.Len(t, again, n)
	}
	check(first, 240)
	// Later operations, deletions and garbage change nothing of it; another
	// snapshot sees what is current.
	_, err = db.UpdateVulnerabilities(t.Context(), "feed", "2", placed(120, 60, short))
	require.NoError(t, err)
	_, err = db.UpdateVulnerabilities(t.Context(), "feed", "3", placed(130, 0, short))
	require.NoError(t, err)
	_, err = db.GC(t.Context(), 1)
	require.NoError(t, err)
	check(first, 240)
	second, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer second.Close()
	check(second, 130)
	check(first, 240)
	require.NoError(t, first.Renew())
}

// Rows come by their size too: no page is larger than it may be, and a row that
// is larger says so before its text is unpacked.
func TestSections_Sizes(t *testing.T) {
	db := openNew(t)
	r := rand.New(rand.NewPCG(1, 1))
	lengths := map[int]int{3: 200_000, 4: 90_000, 77: 300_000}
	_, err := db.UpdateVulnerabilities(t.Context(), "feed", "1", placed(100, 0, func(i int) string {
		if n := lengths[i]; n > 0 {
			return strings.Repeat("a long text ", n/12) // packs to nearly nothing
		}
		return strings.Repeat("x", 100+r.IntN(500))
	}))
	require.NoError(t, err)
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	sections, err := s.Sections(t.Context())
	require.NoError(t, err)
	all, _ := ids(sections, func(clair.Section) bool { return true })
	const size = 20_000
	large := 0
	var names []string
	for at, room := (clair.Cursor{}), int64(size); ; {
		p, err := s.Page(t.Context(), all, at, 50, room)
		require.NoError(t, err)
		took := 0
		for _, v := range p.Rows {
			took += len(v.Description)
			names = append(names, v.Name)
		}
		require.LessOrEqual(t, int64(took), room)
		if p.Needs > 0 {
			require.Greater(t, p.Needs, room)
			large++
			room = p.Needs
			continue
		}
		at, room = p.Next, size
		if p.Done {
			break
		}
	}
	require.Equal(t, len(lengths), large)
	require.Len(t, names, 100)
}

// A snapshot that has been let go of says so: what it reads is no longer sure.
func TestSnapshot_Renew(t *testing.T) {
	db := openNew(t)
	update(t, db, "feed", "a")
	now := time.Now()
	db.now = func() time.Time { return now }
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	for range 3 {
		now = now.Add(59 * time.Minute)
		require.NoError(t, s.Renew())
	}
	now = now.Add(61 * time.Minute)
	require.ErrorIs(t, s.Renew(), clair.ErrUnavailable)
	s.Close()
	require.ErrorIs(t, s.Renew(), clair.ErrUnavailable)
}

// TestDB_Sections compares the sections that are found one by one with those that
// are counted, as operations come and go.
func TestDB_Sections(t *testing.T) {
	db := openNew(t)
	for i, n := range []int{0, 240, 3, 500, 0, 1} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, err := db.UpdateVulnerabilities(t.Context(), "feed", clair.Fingerprint(fmt.Sprint(i)), placed(n, i, short))
			require.NoError(t, err)
			_, err = db.UpdateVulnerabilities(t.Context(), fmt.Sprint("other", i%2), clair.Fingerprint(fmt.Sprint(i)), placed(i, 0, short))
			require.NoError(t, err)
			s, err := db.Snapshot(t.Context())
			require.NoError(t, err)
			defer s.Close()
			counted, err := s.Sections(t.Context())
			require.NoError(t, err)
			for range 2 { // read, and then cached
				got, err := db.Sections(t.Context())
				require.NoError(t, err)
				require.Len(t, got, len(counted))
				for j := range got {
					require.Equal(t, counted[j].ID, got[j].ID)
					require.Equal(t, counted[j].Updater, got[j].Updater)
					require.Equal(t, counted[j].Dist, got[j].Dist)
					require.Equal(t, counted[j].Repo, got[j].Repo)
					require.Positive(t, got[j].Rows)
				}
			}
		})
	}
}
