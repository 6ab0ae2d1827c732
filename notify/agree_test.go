package notify_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
)

// A spelling is a package of a repository as tools and feeds may write it. The
// repository "" is Debian, which has one spelling.
type spelling struct {
	repo  string
	names []string
}

var spellings = []spelling{
	{"pypi", []string{"Zope.Interface", "zope_interface", "zope-interface"}},
	{"pypi", []string{"Django", "django"}},
	{"go", []string{"github.com/Azure/azure-sdk", "github.com/azure/azure-sdk"}},
	{"nuget", []string{"Newtonsoft.Json", "newtonsoft.json"}},
	{"packagist", []string{"Vendor/Package", "vendor/package"}},
	{"swift", []string{"https://github.com/Apple/swift-nio.git", "github.com/apple/swift-nio"}},
	{"npm", []string{"django"}}, // another package than PyPI's
	{"npm", []string{"JSONStream"}},
	{"", []string{"bash"}},
	{"", []string{"linux"}},
}

// randomly returns a random one of some names.
func randomly[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func version(s spelling, r *rand.Rand) string {
	n := r.IntN(5)
	switch s.repo {
	case "go":
		return fmt.Sprintf("v1.%d.0", n)
	case "":
		return fmt.Sprintf("1.%d-1", n)
	}
	return fmt.Sprintf("1.%d.0", n)
}

// randomReport is a report of some of the packages, in any spelling, some of
// them twice.
func randomReport(r *rand.Rand, m clair.Digest) *clair.IndexReport {
	out := &clair.IndexReport{
		Hash:          m,
		State:         clair.StateIndexFinished,
		Success:       true,
		Packages:      map[string]*clair.Package{},
		Distributions: map[string]*clair.Distribution{"1": {ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", Version: "12 (bookworm)"}},
		Repositories:  map[string]*clair.Repository{},
		Environments:  map[string][]clair.Environment{},
	}
	for i := range r.IntN(10) {
		s := randomly(r, spellings)
		id := fmt.Sprint(i)
		p := &clair.Package{
			ID:      id,
			Name:    randomly(r, s.names),
			Version: version(s, r),
			Kind:    clair.Binary,
		}
		env := clair.Environment{PackageDB: "db", IntroducedIn: m}
		if s.repo == "" {
			env.DistributionID = "1"
			switch {
			case p.Name == "linux": // a signed kernel
				p.Source = &clair.Package{
					Name:    "linux-signed-amd64",
					Version: strings.Replace(p.Version, "-", "+", 1),
					Kind:    clair.Source,
				}
				p.Name = "linux-image-amd64"
			default:
				p.Source = &clair.Package{
					Name:    p.Name,
					Version: p.Version,
					Kind:    clair.Source,
				}
				p.Name = "lib" + p.Name
			}
		} else {
			out.Repositories[s.repo] = &clair.Repository{ID: s.repo, Name: s.repo}
			env.RepositoryIDs = []string{s.repo}
		}
		out.Packages[id], out.Environments[id] = p, []clair.Environment{env}
	}
	return out
}

// advisory names an advisory about the nth vulnerability, as one of the
// databases that have their own ids does.
func advisory(r *rand.Rand, n int) (name string, aliases []string) {
	cve, ghsa := fmt.Sprintf("CVE-2024-%04d", n), fmt.Sprintf("GHSA-%04d", n)
	switch r.IntN(3) {
	case 0:
		return ghsa, []string{cve}
	case 1:
		return fmt.Sprintf("PYSEC-%04d", n), []string{ghsa, cve}
	}
	return cve, nil
}

// vulnerabilityOf returns the CVE that an advisory is about, "" if it has no
// name.
func vulnerabilityOf(advisory string) string {
	if advisory == "" {
		return ""
	}
	return "CVE-2024-" + advisory[len(advisory)-4:]
}

// randomFeed has rows about the packages, in any spelling.
func randomFeed(r *rand.Rand) []*clair.Vulnerability {
	var out []*clair.Vulnerability
	for range r.IntN(16) {
		s := randomly(r, spellings)
		name, aliases := advisory(r, r.IntN(5))
		v := vuln(name, randomly(r, s.names), "", clair.Severity(r.IntN(3)+2))
		v.Aliases = aliases
		v.Repo = &clair.Repository{Name: s.repo}
		fixed := version(s, r)
		switch {
		case s.repo == "":
			v.Repo, v.Package.Kind = nil, clair.Source
			v.Dist = &clair.Distribution{
				DID:       "debian",
				Name:      "Debian GNU/Linux",
				VersionID: "12",
				Version:   "12 (bookworm)",
			}
			v.FixedInVersion = fixed
		case r.IntN(4) > 0:
			v.FixedInVersion = clair.Bounds{Fixed: fixed}.String()
		}
		out = append(out, v)
	}
	return out
}

// A finding is what a report has for one vulnerability of one package of a
// manifest, in one version.
type finding struct {
	manifest                     clair.Digest
	vulnerability, name, version string
}

// findings collects the findings of the reports of all manifests.
func (w *world) findings(manifests map[clair.Digest]*clair.IndexReport) map[finding][]*clair.Vulnerability {
	w.Helper()
	out := map[finding][]*clair.Vulnerability{}
	for m, index := range manifests {
		res, err := match.Report(w.Context(), w.db, index)
		require.NoError(w, err)
		for id, list := range res.Report.PackageVulnerabilities {
			for _, vid := range list {
				v, why := res.Report.Vulnerabilities[vid], res.Why[id][vid]
				f := finding{m, vulnerabilityOf(v.Name), v.Package.Name, why.Version}
				out[f] = append(out[f], v)
			}
		}
	}
	return out
}

// canonical returns the spelling of a package that stands for all.
func canonical(repo, name string) string {
	name = strings.TrimSuffix(name, "-signed-amd64")
	for _, s := range spellings {
		if s.repo == repo && slices.Contains(s.names, name) {
			return s.names[len(s.names)-1]
		}
	}
	return name
}

// minor returns the number of a version that differs.
func minor(version string) (n int) {
	_, rest, _ := strings.Cut(version, ".")
	_, _ = fmt.Sscanf(rest, "%d", &n)
	return n
}

// naive returns what reports should find, as "MANIFEST VULNERABILITY PACKAGE": every
// package is compared with every row.
func naive(manifests map[clair.Digest]*clair.IndexReport, feeds map[string][]*clair.Vulnerability) map[string]bool {
	out := map[string]bool{}
	for m, index := range manifests {
		for id, p := range index.Packages {
			repo, name := "", cmp.Or(p.Source, p).Name
			for _, repo = range index.Environments[id][0].RepositoryIDs {
			}
			for _, v := range slices.Concat(slices.Collect(maps.Values(feeds))...) {
				of := ""
				if v.Repo != nil {
					of = v.Repo.Name
				}
				if of == repo && canonical(of, v.Package.Name) == canonical(repo, name) && (v.Fix() == "" || minor(p.Version) < minor(v.Fix())) {
					out[fmt.Sprintf("%s %s %s", m, vulnerabilityOf(v.Name), canonical(repo, name))] = true
				}
			}
		}
	}
	return out
}

// keys returns findings as naive does.
func keys(findings map[finding][]*clair.Vulnerability) map[string]bool {
	out := map[string]bool{}
	for f := range findings {
		out[fmt.Sprintf("%s %s %s", f.manifest, f.vulnerability, f.name)] = true
	}
	return out
}

// diff compares two states of the reports, in the words of brief.
func diff(before, after map[finding][]*clair.Vulnerability) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	out := []string{}
	for f := range all {
		n, ok := match.Notify(clair.Impact{
			Before:  before[f],
			After:   after[f],
			Version: f.version,
		})
		if !ok {
			continue
		}
		n.Manifest = f.manifest
		out = append(out, brief(n)...)
	}
	slices.Sort(out)
	return out
}

// brief returns rows as said does, without their earlier states, and with the
// vulnerability in place of the advisory: of two rows that are equally severe,
// reports and the index may name different ones.
func brief(rows ...clair.Notification) []string {
	for i := range rows {
		v := *rows[i].Vulnerability
		v.Name = vulnerabilityOf(v.Name)
		rows[i].Vulnerability, rows[i].Previous = &v, nil
	}
	return said(rows)
}

// changesSince lists the changes since an operation.
func (w *world) changesSince(op clair.UpdateResult) []string {
	w.Helper()
	set, err := w.db.Changes(w.Context(), clair.Since{Operation: op.Ref}, "", match.NewJudge().Certain)
	require.NoError(w, err)
	defer set.Close()
	out := []string{}
	for i, err := range set.Impacts {
		require.NoError(w, err)
		if n, ok := match.Notify(i); ok {
			for _, n.Manifest = range i.Manifests {
				out = append(out, brief(n)...)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Reports find what a naive comparison does, and the difference between those of
// all manifests before and after an operation is what changes lists and what
// the notification says, however manifests and feeds spell packages, and
// whichever databases' advisories a vulnerability has.
func TestReportsAgree_Property(t *testing.T) {
	sequences := 30
	if testing.Short() {
		sequences = 8
	}
	told := 0
	for seed := range sequences {
		inBubble(t, func(t *testing.T, w *world) { told += agreeing(t, w, rand.New(rand.NewPCG(11, uint64(seed)))) })
	}
	require.Greater(t, told, 20*sequences, "differences that were compared")
}

// agreeing compares the answers over a sequence of operations, and returns how
// many differences they had.
func agreeing(t *testing.T, w *world, r *rand.Rand) (told int) {
	manifests := map[clair.Digest]*clair.IndexReport{}
	last, feeds := map[string]clair.UpdateResult{}, map[string][]*clair.Vulnerability{}
	for _, u := range []string{"one", "two"} {
		last[u] = w.update(u)
	}
	w.start(full(), nil)
	w.planned()
	for range 8 {
		for range 2 {
			m := digest(r.IntN(5))
			manifests[m] = randomReport(r, m)
			_, err := w.db.PutIndexReport(t.Context(), manifests[m])
			require.NoError(t, err)
		}
		before := w.findings(manifests)
		u := randomly(r, []string{"one", "two"})
		feeds[u] = randomFeed(r)
		op := w.update(u, feeds[u]...)
		after := w.findings(manifests)
		require.Equal(t, naive(manifests, feeds), keys(after), "reports")
		want := diff(before, after)
		require.Equal(t, want, w.changesSince(last[u]), "changes")
		last[u] = op
		w.planned()
		notified := []string{}
		for _, s := range w.sets() {
			if s.Operation == op.Ref {
				notified = brief(w.rows(s.ID, "")...)
			}
		}
		slices.Sort(notified)
		require.Equal(t, want, notified, "notification")
		told += len(want)
	}
	return told
}
