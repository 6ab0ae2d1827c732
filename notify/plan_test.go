package notify_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/notify"
)

func full() notify.Config {
	c := config()
	c.Summary = false
	return c
}

// named returns a row about the package p with other names.
func named(name string, aliases ...string) *clair.Vulnerability {
	v := vuln(name, "p", "v1.5.0", clair.High)
	v.Aliases = aliases
	return v
}

func TestPlan(t *testing.T) {
	const high, low = clair.High, clair.Low
	for _, c := range []struct {
		name          string
		before, after []*clair.Vulnerability
		want          []string
	}{
		{"added", nil, []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, []string{"added A p@v1.2.0 01"}},
		{"withdrawn", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, nil, []string{"removed A p@v1.2.0 01"}},
		{"fix_reaches_the_version", []*clair.Vulnerability{vuln("A", "p", "", high)}, []*clair.Vulnerability{vuln("A", "p", "v1.2.0", high)},
			[]string{"removed A p@v1.2.0 01"}},
		{"unaffected", nil, []*clair.Vulnerability{vuln("A", "p", "v1.0.0", high), vuln("B", "q", "", high)}, nil},
		{"a_fix_appears", []*clair.Vulnerability{vuln("A", "p", "", high)}, []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)},
			[]string{"changed A p@v1.2.0 01 was High "}},
		{"another_severity", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", low)}, []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)},
			[]string{"changed A p@v1.2.0 01 was Low v1.5.0"}},
		{"another_text", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, []*clair.Vulnerability{func() *clair.Vulnerability {
			v := vuln("A", "p", "v1.5.0", high)
			v.Description = "in other words"
			return v
		}()}, nil},
		{"a_row_more_of_the_same_advisory", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, []*clair.Vulnerability{
			vuln("A", "p", "v1.5.0", high), func() *clair.Vulnerability {
				v := vuln("A", "p", "", high)
				v.FixedInVersion = clair.Bounds{Introduced: "v1.1.0", Fixed: "v1.5.0"}.String()
				return v
			}(),
		}, nil},
		{"a_row_less_of_the_same_advisory", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high), vuln("A", "p", "v1.7.0", high)},
			[]*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, []string{"changed A p@v1.2.0 01 was High v1.5.0"}},
		{"renamed", []*clair.Vulnerability{vuln("A", "p", "v1.5.0", high)}, []*clair.Vulnerability{vuln("B", "p", "v1.5.0", high)},
			[]string{"added B p@v1.2.0 01", "removed A p@v1.2.0 01"}},
		{"advisories_of_one_vulnerability", nil, []*clair.Vulnerability{named("GHSA-1", "CVE-2024-0001"), named("PYSEC-1", "CVE-2024-0001", "GHSA-1")},
			[]string{"added GHSA-1 p@v1.2.0 01"}},
		{"an_advisory_more_of_a_vulnerability", []*clair.Vulnerability{named("GHSA-1", "CVE-2024-0001")},
			[]*clair.Vulnerability{named("GHSA-1", "CVE-2024-0001"), named("CVE-2024-0001")}, nil},
		{"an_advisory_through_another", []*clair.Vulnerability{named("GO-1", "GHSA-1"), named("GHSA-1", "OTHER-1")},
			[]*clair.Vulnerability{named("GO-1", "GHSA-1"), named("GHSA-1", "OTHER-1"), named("OTHER-1")}, nil},
		{"another_database", []*clair.Vulnerability{named("GHSA-1", "CVE-2024-0001")}, []*clair.Vulnerability{named("PYSEC-1", "CVE-2024-0001")}, nil},
		{"advisories_of_two_vulnerabilities", []*clair.Vulnerability{named("RHSA-1", "CVE-2024-0001", "CVE-2024-0002")},
			[]*clair.Vulnerability{named("RHSA-1", "CVE-2024-0001", "CVE-2024-0002"), named("CVE-2024-0001")}, []string{"added CVE-2024-0001 p@v1.2.0 01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.index(digest(1), "p", "v1.2.0")
				w.start(full(), nil)
				w.update("u", append(c.before, vuln("MARK", "nobody", "", low))...)
				w.planned()
				require.Empty(t, w.sets(), "the first operation of an updater says nothing")
				op := w.update("u", append(c.after, vuln("MARK", "nobody", "", high))...)
				w.planned()
				if c.want == nil {
					require.Empty(t, w.sets())
					return
				}
				sets := w.sets()
				require.Len(t, sets, 1)
				require.Equal(t, op.Ref, sets[0].Operation)
				require.EqualValues(t, len(c.want), sets[0].Rows)
				require.ElementsMatch(t, c.want, said(w.rows(sets[0].ID, "")))
			})
		})
	}
}

// A vulnerability that two feeds name is added with the first, and removed
// with the last.
func TestPlan_TwoUpdaters(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.index(digest(1), "p", "v1.2.0")
		w.start(full(), nil)
		a, other := vuln("A", "p", "v1.5.0", clair.High), vuln("Z", "nobody", "", clair.Low)
		say := func(updater string, rows ...*clair.Vulnerability) []string {
			before := len(w.sets())
			w.update(updater, append(rows, other)...)
			w.planned()
			if sets := w.sets(); len(sets) > before {
				return said(w.rows(sets[before].ID, ""))
			}
			return nil
		}
		require.Empty(t, say("one"))
		require.Empty(t, say("two"))
		require.Equal(t, []string{"added A p@v1.2.0 01"}, say("one", a))
		require.Empty(t, say("two", a))
		require.Empty(t, say("one"))
		require.Equal(t, []string{"removed A p@v1.2.0 01"}, say("two"))
	})
}

// Operations that were retired or deleted before they were planned are part of
// the next one.
func TestPlan_Skipped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.index(digest(1), "p", "v1.2.0", "q", "v1.2.0")
		first := w.update("u", vuln("A", "p", "", clair.High))
		w.start(full(), nil)
		w.planned()
		w.reopen()
		second := w.update("u", vuln("B", "p", "", clair.High), vuln("C", "q", "", clair.High))
		w.update("u", vuln("B", "p", "", clair.High))
		n, err := w.db.DeleteUpdateOperations(t.Context(), first.Ref, second.Ref)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		_, err = w.db.GC(t.Context(), 1)
		require.NoError(t, err)
		w.start(full(), nil)
		w.planned()
		require.Len(t, w.sets(), 1)
		require.ElementsMatch(t, []string{"removed A p@v1.2.0 01", "added B p@v1.2.0 01"}, said(w.rows(w.sets()[0].ID, "")))
	})
}

// A manifest that is indexed after an operation is not part of its
// notification, and a deleted one no longer.
func TestPlan_Manifests(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.index(digest(1), "p", "v1.2.0")
		w.index(digest(2), "p", "v1.2.0")
		w.index(digest(3), "q", "v1.2.0")
		w.start(full(), nil)
		w.update("u")
		w.planned()
		w.index(digest(3), "p", "v1.3.0") // again, with another package
		_, err := w.db.DeleteManifests(t.Context(), digest(2))
		require.NoError(t, err)
		w.update("u", vuln("A", "p", "", clair.High))
		w.planned()
		require.Len(t, w.sets(), 1)
		require.ElementsMatch(t, []string{"added A p@v1.2.0 01", "added A p@v1.3.0 03"}, said(w.rows(w.sets()[0].ID, "")))
		w.index(digest(4), "p", "v1.2.0")
		w.planned()
		require.Len(t, w.sets(), 1, "the first index of a manifest says nothing")
		_, err = w.db.DeleteManifests(t.Context(), digest(1), digest(3))
		require.NoError(t, err)
		require.Len(t, w.rows(w.sets()[0].ID, ""), 2, "what was told stays readable")
	})
}

func TestPlan_Summary(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.index(digest(1), "p", "v1.2.0", "q", "v1.2.0")
		w.index(digest(2), "q", "v1.2.0")
		w.start(config(), nil)
		w.update("u", vuln("GONE", "p", "", clair.Low), vuln("WENT", "q", "", clair.Critical))
		w.planned()
		w.update("u", vuln("A", "p", "", clair.Low), vuln("B", "q", "", clair.Medium), vuln("C", "p", "", clair.High))
		w.planned()
		require.Equal(t, []string{"added C p@v1.2.0 01", "added B q@v1.2.0 02", "removed WENT q@v1.2.0 01", "removed WENT q@v1.2.0 02"},
			said(w.rows(w.sets()[0].ID, "")))
	})
}

// A package in two places of a manifest is affected as long as one of them is,
// and manifests with the package in different places get different rows.
func TestPlan_Places(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		repo := func(name string) *clair.Repository { return &clair.Repository{Name: name, Key: "rhel-cpe-repository"} }
		const a, b = "cpe:/o:redhat:enterprise_linux:9::baseos", "cpe:/a:redhat:enterprise_linux:9::appstream"
		index := func(m clair.Digest, repos ...string) {
			r := &clair.IndexReport{
				Hash:          m,
				State:         clair.StateIndexFinished,
				Success:       true,
				Distributions: map[string]*clair.Distribution{},
				Repositories:  map[string]*clair.Repository{},
				Packages:      map[string]*clair.Package{"1": {ID: "1", Name: "p", Version: "1.0-1", Kind: clair.Binary, Arch: "x86_64"}},
				Environments:  map[string][]clair.Environment{"1": {{PackageDB: "x", IntroducedIn: m, RepositoryIDs: repos}}},
			}
			for _, name := range repos {
				r.Repositories[name] = repo(name)
			}
			_, err := w.db.PutIndexReport(t.Context(), r)
			require.NoError(t, err)
		}
		row := func(cpe string) *clair.Vulnerability {
			v := vuln("CVE", "p", "", clair.High)
			v.Repo, v.FixedInVersion = repo(cpe), "2.0-1"
			return v
		}
		index(digest(1), a)
		index(digest(2), b)
		index(digest(3), a, b)
		w.start(full(), nil)
		w.update("redhat", row(a))
		w.planned()
		w.update("redhat", row(b))
		w.planned()
		require.ElementsMatch(t, []string{"removed CVE p@1.0-1 01", "added CVE p@1.0-1 02"}, said(w.rows(w.sets()[0].ID, "")))
	})
}

// While notifications are off, operations are marked and not announced later.
func TestPlan_Disabled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.index(digest(1), "p", "v1.2.0")
		off := full()
		off.Enabled = false
		w.start(off, nil)
		w.update("u")
		w.update("u", vuln("A", "p", "", clair.High))
		w.planned()
		w.stop()
		w.start(full(), nil)
		w.planned()
		require.Empty(t, w.sets())
		w.update("u", vuln("A", "p", "", clair.High), vuln("B", "p", "", clair.High))
		w.planned()
		require.Equal(t, []string{"added B p@v1.2.0 01"}, said(w.rows(w.sets()[0].ID, "")))
	})
}

// fact is the model's knowledge about a manifest's package and an advisory.
type fact struct {
	severity clair.Severity
	fixes    string
}

// facts returns the naive answer: every manifest, package and row compared.
func facts(manifests map[clair.Digest]map[string]int, rows map[string][]*clair.Vulnerability) map[string]fact {
	out := map[string]fact{}
	fixes := map[string][]string{}
	for m, packages := range manifests {
		for pkg, version := range packages {
			for _, list := range rows {
				for _, v := range list {
					b, _ := clair.ParseBounds(v.FixedInVersion)
					var fixed int
					_, _ = fmt.Sscanf(b.Fixed, "v1.%d.0", &fixed)
					if v.Package.Name != pkg || b.Fixed != "" && version >= fixed {
						continue
					}
					key := fmt.Sprintf("%s %s@v1.%d.0 %s", v.Name, pkg, version, m[len(m)-2:])
					f := out[key]
					f.severity = max(f.severity, v.NormalizedSeverity)
					if !slices.Contains(fixes[key], b.Fixed) {
						fixes[key] = append(fixes[key], b.Fixed)
						slices.Sort(fixes[key])
					}
					f.fixes = fmt.Sprint(fixes[key])
					out[key] = f
				}
			}
		}
	}
	return out
}

// expected compares two naive answers.
func expected(before, after map[string]fact) []string {
	out := []string{}
	for key, a := range after {
		b, was := before[key]
		switch {
		case !was:
			out = append(out, "added "+key)
		case a != b:
			out = append(out, "changed "+key)
		}
	}
	for key := range before {
		if _, is := after[key]; !is {
			out = append(out, "removed "+key)
		}
	}
	slices.Sort(out)
	return out
}

// Random updates of three feeds that name the same advisories, with operations
// deleted and retired, manifests indexed and deleted, and restarts: every
// planned operation announces exactly the differences that a naive comparison
// with the last announced state finds.
func TestPlan_Property(t *testing.T) {
	sequences := 25
	if s := os.Getenv("ORIEL_PROPERTY_SEQUENCES"); s != "" {
		var err error
		sequences, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	if testing.Short() {
		sequences = 4
	}
	told := 0
	for i := range sequences {
		inBubble(t, func(t *testing.T, w *world) { told += randomPlan(t, w, rand.New(rand.NewPCG(7, uint64(i)))) })
	}
	require.Greater(t, told, sequences, "notifications that said something")
}

func randomPlan(t *testing.T, w *world, r *rand.Rand) (told int) {
	manifests := map[clair.Digest]map[string]int{}
	last := map[string][]*clair.Vulnerability{} // what was told last, by updater
	type pending struct {
		op   clair.UpdateResult
		rows []*clair.Vulnerability
	}
	var waiting []pending
	var want [][]string
	running := false
	settle := func() {
		for _, p := range waiting {
			_, known := last[p.op.Updater]
			before := facts(manifests, last)
			last[p.op.Updater] = p.rows
			if said := expected(before, facts(manifests, last)); known && len(said) > 0 {
				want = append(want, said)
			}
		}
		waiting = nil
	}
	for range 30 {
		switch p := r.IntN(10); {
		case p < 5:
			updater := []string{"one", "two", "three"}[r.IntN(3)]
			var rows []*clair.Vulnerability
			for range r.IntN(12) {
				fixed := ""
				if f := r.IntN(6); f > 0 {
					fixed = fmt.Sprintf("v1.%d.0", f)
				}
				rows = append(rows, vuln(fmt.Sprintf("ADV-%d", r.IntN(4)), fmt.Sprintf("p%d", r.IntN(4)), fixed, clair.Severity(r.IntN(3)+2)))
			}
			waiting = append(waiting, pending{w.update(updater, rows...), rows})
		case p < 7:
			m := digest(r.IntN(6))
			var list []string
			manifests[m] = map[string]int{}
			for i := range 4 {
				if r.IntN(2) == 0 {
					manifests[m][fmt.Sprintf("p%d", i)] = r.IntN(5)
					list = append(list, fmt.Sprintf("p%d", i), fmt.Sprintf("v1.%d.0", manifests[m][fmt.Sprintf("p%d", i)]))
				}
			}
			if running {
				w.planned()
				settle()
			}
			w.index(m, list...)
		case p < 8 && !running:
			// An operation that was not planned yet is deleted.
			if i := r.IntN(len(waiting) + 1); i < len(waiting) {
				_, err := w.db.DeleteUpdateOperations(context.Background(), waiting[i].op.Ref)
				require.NoError(t, err)
				waiting = slices.Delete(waiting, i, i+1)
			}
			continue // it was there to be planned all the while, or is not
		case p < 9 && running:
			w.planned()
			settle()
			_, err := w.db.GC(context.Background(), 1)
			require.NoError(t, err)
			w.reopen()
			running = false
		case !running:
			w.start(full(), nil)
			running = true
		}
		if running {
			w.planned()
			settle()
		}
	}
	if !running {
		w.start(full(), nil)
	}
	w.planned()
	settle()
	sets := w.sets()
	require.Len(t, sets, len(want))
	for i, s := range sets {
		got := []string{}
		for _, n := range w.rows(s.ID, "") {
			n.Previous = nil
			got = append(got, said([]clair.Notification{n})...)
		}
		slices.Sort(got)
		require.Equal(t, want[i], got)
	}
	return len(want)
}
