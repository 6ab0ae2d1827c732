package match_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
)

// bucket is a bucket of Trivy's database fixtures, or a pair in one.
type bucket struct {
	Bucket string          `json:"bucket"`
	Pairs  []bucket        `json:"pairs"`
	Key    string          `json:"key"`
	Value  json.RawMessage `json:"value"`
}

// trivyAdvisory is an advisory in any of the forms that the buckets have.
type trivyAdvisory struct {
	FixedVersion       string
	PatchedVersions    []string
	VulnerableVersions []string
	Entries            []struct {
		Affected     []int
		Arches       []string
		FixedVersion string
		Cves         []struct {
			ID       string
			Severity float64
		}
	}
}

// trivyDB turns the fixtures into rows.
type trivyDB struct {
	t        *testing.T
	rows     []*clair.Vulnerability
	cpes     map[string]string // by their numbers
	severity map[string]clair.Severity
}

func newTrivyDB(t *testing.T) *trivyDB {
	d := &trivyDB{t: t, cpes: map[string]string{}, severity: map[string]clair.Severity{}}
	const dir = "expected/public/trivy"
	var details []bucket
	require.NoError(t, json.Unmarshal(readFile(t, dir, "vulnerability.json.gz"), &details))
	for _, p := range details[0].Pairs {
		var v struct{ Severity string }
		require.NoError(t, json.Unmarshal(p.Value, &v))
		d.severity[p.Key] = severities[v.Severity]
	}
	var files map[string][]bucket
	require.NoError(t, json.Unmarshal(readFile(t, dir, "db.json.gz"), &files))
	for _, b := range files["cpe"][0].Pairs {
		for _, p := range b.Pairs {
			if b.Bucket == "cpe" {
				var name string
				require.NoError(t, json.Unmarshal(p.Value, &name))
				d.cpes[p.Key] = name
			}
		}
	}
	for file, buckets := range files {
		if file == "cpe" || file == "data-source" {
			continue
		}
		for _, b := range buckets {
			for _, pkg := range b.Pairs {
				for _, advisory := range pkg.Pairs {
					d.advisory(b.Bucket, pkg.Bucket, advisory)
				}
			}
		}
	}
	return d
}

var severities = map[string]clair.Severity{"LOW": clair.Low, "MEDIUM": clair.Medium, "HIGH": clair.High, "CRITICAL": clair.Critical}

// trivyEcosystems are the repositories of the language buckets.
var trivyEcosystems = map[string]string{
	"composer": "packagist", "maven": "maven", "k8s": "go", "pub": "pub", "pip": "pypi", "cargo": "crates.io",
}

// trivySource says which distributions' buckets are keyed by the names of
// source packages: each of Trivy's drivers asks by one or the other.
var trivySource = map[string]bool{"alpine": true, "debian": true, "ubuntu": true, "photon": true}

func (d *trivyDB) advisory(in, pkg string, b bucket) {
	var a trivyAdvisory
	require.NoError(d.t, json.Unmarshal(b.Value, &a), b.Key)
	v := clair.Vulnerability{Name: b.Key, NormalizedSeverity: d.severity[b.Key], Package: &clair.Package{Name: pkg, Kind: clair.Binary}}
	kind, _, language := strings.Cut(in, "::")
	switch {
	case in == "Red Hat":
		d.redHat(v, a)
		return
	case language:
		v.Repo = &clair.Repository{Name: trivyEcosystems[kind]}
		for _, bounds := range trivyBounds(d.t, a) {
			row := v
			row.FixedInVersion = bounds.String()
			d.rows = append(d.rows, &row)
		}
		return
	}
	v.Dist = release(d.t, in)
	if trivySource[v.Dist.DID] {
		v.Package.Kind = clair.Source
	}
	v.FixedInVersion = a.FixedVersion
	d.rows = append(d.rows, &v)
}

// redHat makes a row of each CVE of an erratum on each product. Numbers of
// products that the fixtures do not name are of other releases.
func (d *trivyDB) redHat(v clair.Vulnerability, a trivyAdvisory) {
	for _, e := range a.Entries {
		for _, cve := range e.Cves {
			for _, n := range e.Affected {
				name, ok := d.cpes[fmt.Sprint(n)]
				if !ok {
					continue
				}
				row, pkg := v, *v.Package
				if cve.ID != "" {
					row.Name = cve.ID
				}
				pkg.Arch = strings.Join(e.Arches, "|")
				if pkg.Arch != "" {
					row.ArchOperation = clair.ArchPattern
				}
				row.NormalizedSeverity = []clair.Severity{clair.Unknown, clair.Low, clair.Medium, clair.High, clair.Critical}[int(cve.Severity)]
				row.Package, row.FixedInVersion = &pkg, e.FixedVersion
				row.Repo = &clair.Repository{Key: "rhel-cpe-repository", Name: name}
				d.rows = append(d.rows, &row)
			}
		}
	}
}

// trivyBounds reads ranges such as ">= 5.3.0, < 5.3.18" and "[2.9.0,2.9.10.7)",
// or for RustSec what is between the patched ones. A range that ends with the
// last affected version is fixed in the patched version at its place, as the
// OSV record of the same advisory has it.
func trivyBounds(t *testing.T, a trivyAdvisory) []clair.Bounds {
	var out []clair.Bounds
	if len(a.VulnerableVersions) == 0 {
		// ">= 3.1.0" and ">= 2.1.3, < 3.0.0", the latest first.
		next := ""
		for _, patched := range slices.Backward(a.PatchedVersions) {
			from, until, _ := strings.Cut(patched, ", ")
			out = append(out, clair.Bounds{Introduced: next, Fixed: strings.TrimPrefix(from, ">= ")})
			next = strings.TrimPrefix(until, "< ")
		}
		return out
	}
	for i, text := range a.VulnerableVersions {
		var b clair.Bounds
		if interval, ok := strings.CutPrefix(text, "["); ok {
			from, until, _ := strings.Cut(interval, ",")
			require.True(t, strings.HasSuffix(until, ")"), text)
			out = append(out, clair.Bounds{Introduced: from, Fixed: strings.TrimSuffix(until, ")")})
			continue
		}
		for term := range strings.SplitSeq(text, ", ") {
			switch op, version, _ := strings.Cut(term, " "); op {
			case ">=":
				b.Introduced = version
			case "<":
				b.Fixed = version
			case "<=":
				b.Fixed = a.PatchedVersions[i]
			default:
				require.Fail(t, "no range", text)
			}
		}
		out = append(out, b)
	}
	return out
}

// golden is one of Trivy's golden reports.
type golden struct {
	// inventory is the report whose packages the image has, where another
	// one of the same image has more of them.
	inventory string
	// keep is the option that the report was made with.
	keep func(*clair.Vulnerability) bool
	// release is the one that Trivy took, where the report names another.
	release string
}

func fixedOnly(v *clair.Vulnerability) bool { return v.FixedInVersion != "" }

var goldens = map[string]golden{
	"alpine-39-high-critical": {inventory: "alpine-39", keep: func(v *clair.Vulnerability) bool { return v.NormalizedSeverity >= clair.High }},
	"alpine-39-ignore-cveids": {inventory: "alpine-39", keep: func(v *clair.Vulnerability) bool {
		return v.Name != "CVE-2019-1549" && v.Name != "CVE-2019-14697" // what Trivy's ignore file names
	}},
	"centos-7-ignore-unfixed": {inventory: "centos-7", keep: fixedOnly},
	"centos-7-medium": {inventory: "centos-7", keep: func(v *clair.Vulnerability) bool {
		return v.NormalizedSeverity == clair.Medium
	}},
	"ubuntu-1804-ignore-unfixed": {inventory: "ubuntu-1804", keep: fixedOnly},
	// Its os-release says 3.16 but its packages come from the repositories
	// of edge, which Trivy reads in etc/apk/repositories.
	"alpine-distroless": {release: "alpine edge"},
}

// trivySources are the source packages of the images' packages. Trivy reads
// them from the packages' own metadata, which its reports omit.
var trivySources = map[string]string{
	"libcrypto1.1": "openssl", "libssl1.1": "openssl", "musl-utils": "musl", "libcom-err2": "e2fsprogs",
	"libext2fs2": "e2fsprogs", "libss2": "e2fsprogs", "curl-libs": "curl",
}

// trivyTypes are the repositories of the types of language packages.
var trivyTypes = map[string]string{
	"cargo": "crates.io", "composer": "packagist", "composer-vendor": "packagist", "kubernetes": "go",
	"pub": "pub", "sbt": "maven", "jar": "maven", "uv": "pypi",
}

func TestExpected_Trivy(t *testing.T) {
	db := openStore(t)
	files := corpusFiles(t, "expected/public/trivy/*.expected.tsv")
	storeRows(t, db, "trivy", newTrivyDB(t).rows)
	total := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".expected.tsv")
		t.Run(name, func(t *testing.T) { total += gradeGolden(t, db, name) })
	}
	t.Logf("trivy: %d findings of %d reports as expected", total, len(files))
}

func gradeGolden(t *testing.T, db *store.DB, name string) int {
	const dir = "expected/public/trivy"
	g := goldens[name]
	expected := table(t, readFile(t, dir, name+".expected.tsv"))
	dist, lists := (*clair.Distribution)(nil), name
	if g.inventory != "" {
		lists = g.inventory
	}
	if expected[0][1] != "" {
		dist = release(t, expected[0][1])
	}
	if g.release != "" {
		dist = release(t, g.release)
	}
	var items []item
	for _, p := range table(t, readFile(t, dir, lists+".packages.tsv")) {
		it := item{name: p[1], version: p[2], repo: trivyTypes[p[0]]}
		if it.repo == "" {
			it.arch, it.source = "x86_64", p[1]
			if s, ok := trivySources[p[1]]; ok {
				it.source = s
			}
		}
		items = append(items, it)
	}
	r := reportOf(t, db, inventory(dist, items...))
	require.Empty(t, r.Incomparable)
	for id, vulns := range r.Report.PackageVulnerabilities {
		if g.keep != nil {
			r.Report.PackageVulnerabilities[id] = slices.DeleteFunc(vulns, func(v string) bool { return !g.keep(r.Report.Vulnerabilities[v]) })
		}
	}
	got := findingsOf(r)
	var want []finding
	for _, e := range expected {
		want = append(want, finding{e[2], e[3], e[4], fixedAmong(e, got)})
	}
	slices.SortFunc(want, compareFindings)
	require.Equal(t, want, got)
	return len(want)
}

// fixedAmong is the fixed version that a line of a golden report expects.
// Where it lists those of several branches, the one of the package's own
// branch is all that Oriel names.
func fixedAmong(e []string, got []finding) string {
	if !strings.Contains(e[5], ", ") && !strings.Contains(e[5], ">= ") {
		return e[5]
	}
	branches := strings.FieldsFunc(e[5], func(c rune) bool { return strings.ContainsRune("<>=, ", c) })
	for _, f := range got {
		if f.pkg == e[2] && f.vuln == e[4] && slices.Contains(branches, f.fixed) {
			return f.fixed
		}
	}
	return e[5]
}
