package match_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/match"
)

// TestReport_Findings compares whole finding sets: all findings of all
// packages of each place of testdata/findings, whose README has the form.
func TestReport_Findings(t *testing.T) {
	files, err := filepath.Glob("testdata/findings/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			rows, places := readFindings(t, file)
			db := newStore(t, rows...)
			for _, p := range places {
				t.Run(p.name, func(t *testing.T) {
					res, err := match.Report(t.Context(), db, p.index)
					require.NoError(t, err)
					require.Empty(t, res.Incomparable)
					got := found(res)
					for id, pkg := range p.index.Packages {
						require.ElementsMatch(t, p.findings[id], got[id], "%s %s of %s", pkg.Name, pkg.Version, pkg.ID)
						delete(got, id)
					}
					require.Empty(t, got, "findings of unknown packages")
				})
			}
		})
	}
}

// A findingSet is one place of a file: its packages, and the advisories that
// affect each.
type findingSet struct {
	name     string
	index    *clair.IndexReport
	findings map[string][]string
}

// readFindings reads a file of testdata/findings.
func readFindings(t *testing.T, file string) (rows []*clair.Vulnerability, places []*findingSet) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		at := file + ":" + strconv.Itoa(n)
		switch words[0] {
		case "place":
			places = append(places, newFindingSet(words[1]))
		case "advisory":
			rows = append(rows, places[len(places)-1].advisory(t, at, words[1:]))
		case "package":
			places[len(places)-1].add(t, at, words[1:])
		default:
			t.Fatalf("%s: unknown word %q", at, words[0])
		}
	}
	return rows, places
}

// newFindingSet returns a place without packages.
func newFindingSet(place string) *findingSet {
	s := &findingSet{name: place, findings: map[string][]string{}, index: &clair.IndexReport{
		Packages: map[string]*clair.Package{}, Distributions: map[string]*clair.Distribution{},
		Repositories: map[string]*clair.Repository{}, Environments: map[string][]clair.Environment{},
	}}
	if release, ok := distro.ReleaseByName(place); ok {
		s.index.Distributions["d"] = release.Distribution()
	} else if place != "rhcc" {
		s.index.Repositories["r"] = &clair.Repository{Name: place}
	}
	return s
}

// attributes reads KEY=VALUE words and fails for a key that is not known.
func attributes(t *testing.T, at string, words []string, known ...string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		require.True(t, ok, "%s: %q is not KEY=VALUE", at, w)
		require.Contains(t, known, key, at)
		values[key] = value
	}
	return values
}

// advisory returns one advisory: an id, a package and attributes.
func (s *findingSet) advisory(t *testing.T, at string, words []string) *clair.Vulnerability {
	t.Helper()
	a := attributes(t, at, words[2:], "kind", "fixed", "version", "introduced", "last-affected", "arch", "module", "cpe")
	v := &clair.Vulnerability{
		Name: words[0], FixedInVersion: a["fixed"], Dist: s.index.Distributions["d"], Repo: s.index.Repositories["r"],
		Package: &clair.Package{Name: words[1], Kind: clair.Binary, Version: a["version"], Arch: a["arch"], Module: a["module"]},
	}
	if kind := a["kind"]; kind != "" {
		v.Package.Kind = kind
	}
	if a["arch"] != "" {
		v.ArchOperation = clair.ArchPattern
	}
	if v.Repo != nil {
		ecosystem, _ := clair.EcosystemByRepository(v.Repo.Name)
		v.Package.Name = ecosystem.PackageName(words[1]) // as the parsers of feeds do
		v.FixedInVersion = clair.Bounds{Introduced: a["introduced"], Fixed: a["fixed"], LastAffected: a["last-affected"]}.String()
	}
	if cpe := a["cpe"]; cpe != "" {
		v.Repo = &clair.Repository{Key: s.repositoryKey(), Name: cpe}
	}
	return v
}

// repositoryKey returns the key of the place's repositories with a CPE.
func (s *findingSet) repositoryKey() string {
	if s.name == "rhcc" {
		return "rhcc-container-repository"
	}
	return "rhel-cpe-repository"
}

// add adds one package: a name, a version, attributes, "=>" and the advisories
// that affect it.
func (s *findingSet) add(t *testing.T, at string, words []string) {
	t.Helper()
	end := 0
	for end < len(words) && words[end] != "=>" {
		end++
	}
	require.Less(t, end, len(words), "%s: no =>", at)
	a := attributes(t, at, words[2:end], "source", "source-version", "arch", "module", "cpe")
	p := &clair.Package{ID: at, Name: words[0], Version: words[1], Kind: clair.Binary, Arch: a["arch"], Module: a["module"]}
	if source := a["source"]; source != "" {
		p.Source = &clair.Package{Name: source, Version: a["source-version"], Kind: clair.Source}
	}
	env := clair.Environment{}
	switch {
	case a["cpe"] != "":
		s.index.Repositories[a["cpe"]] = &clair.Repository{Key: s.repositoryKey(), Name: a["cpe"], CPE: a["cpe"]}
		env.RepositoryIDs = []string{a["cpe"]}
	case s.name == "rhcc":
		s.index.Repositories["gold"] = &clair.Repository{Key: s.repositoryKey(), Name: "Red Hat Container Catalog"}
		env.RepositoryIDs = []string{"gold"}
	case s.index.Repositories["r"] != nil:
		env.RepositoryIDs = []string{"r"}
	}
	if s.index.Distributions["d"] != nil {
		env.DistributionID = "d"
	}
	s.index.Packages[at] = p
	s.index.Environments[at] = []clair.Environment{env}
	s.findings[at] = append([]string{}, words[end+1:]...)
}
