package match_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/version"
	"oriel/match"
)

// distributionFeeds are all feeds of distributions that the corpus has.
func distributionFeeds(t *testing.T) []feed {
	feeds := []feed{
		{format: "debian", path: "feeds-next/debian/tracker.json.gz"},
		{format: "osv", path: "feeds/ubuntu/osv-all.tar.bz2"},
		{format: "osv", path: "feeds/osv/Ubuntu-current-sample/all.zip"},
		{format: "osv", path: "feeds-next/osv/AlmaLinux-9/all.zip"},
		{format: "osv", path: "feeds/osv/RockyLinux/all.zip"},
		{format: "oval", path: "feeds/oval/azurelinux-3.0-oval.xml.gz", release: "azurelinux:3"},
		{format: "oval", path: "feeds/oval/cbl-mariner-1.0-oval.xml.gz", release: "mariner:1"},
		{format: "oval", path: "feeds/oval/com.vmware.phsa-photon3.xml.gz"},
		{format: "oval", path: "feeds/oval/suse.linux.enterprise.server.15-truncated.xml.gz"},
		{format: "redhat-vex", path: "feeds/redhat-vex/csaf_vex_2026-03-25.tar.zst"},
	}
	for _, file := range corpusFiles(t, "feeds-next/alpine/*/*.json.gz") {
		path, err := filepath.Rel(corpusFile(t), file)
		require.NoError(t, err)
		feeds = append(feeds, feed{format: "alpine", path: path})
	}
	return feeds
}

// host is an inventory by its name.
type host struct {
	name  string
	index *clair.IndexReport
}

// hostHead is the first line of a host's list.
var hostHead = regexp.MustCompile(`^# family=(\S+) release=(\S+) `)

// scannedHosts are the package lists of real hosts.
func scannedHosts(t *testing.T) (out []host) {
	for _, file := range corpusFiles(t, "inventories/hosts/*.tsv.gz") {
		b := readFile(t, "inventories/hosts", filepath.Base(file))
		head := hostHead.FindSubmatch(b)
		require.NotNil(t, head, file)
		dist := release(t, string(head[1])+" "+string(head[2]))
		if dist.VersionID != "" {
			dist.VersionID = string(head[2]) // as os-release has it, with the minor number
		}
		var items []item
		for _, f := range table(t, b) {
			it := item{name: f[0], version: f[1], arch: f[3], source: f[4], sourceVersion: f[5]}
			if f[2] != "" {
				it.version += "-" + f[2]
			}
			if label := strings.Split(f[6], ":"); len(label) > 1 {
				it.module = label[0] + ":" + label[1]
			}
			items = append(items, it)
		}
		out = append(out, host{"hosts/" + strings.TrimSuffix(filepath.Base(file), ".tsv.gz"), inventory(dist, items...)})
	}
	return out
}

// sourceForm is dpkg's "name (version)" of a source package.
var sourceForm = regexp.MustCompile(`^(\S+)(?: \((\S+)\))?$`)

// installed reads the database of dpkg or apk: stanzas of "key: value".
func installed(t *testing.T, b []byte, separator string) (items []item) {
	for stanza := range strings.SplitSeq(string(b), "\n\n") {
		f := map[string]string{}
		for line := range strings.Lines(stanza) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), separator); ok && f[key] == "" && !strings.HasPrefix(line, " ") {
				f[key] = value
			}
		}
		if separator == ":" && f["P"] != "" {
			items = append(items, item{name: f["P"], version: f["V"], arch: f["A"], source: f["o"], sourceVersion: f["V"]})
		}
		if !strings.HasSuffix(f["Status"], " installed") {
			continue
		}
		it := item{name: f["Package"], version: f["Version"], arch: f["Architecture"], source: f["Package"], sourceVersion: f["Version"]}
		if m := sourceForm.FindStringSubmatch(f["Source"]); m != nil {
			it.source = m[1]
			if m[2] != "" {
				it.sourceVersion = m[2]
			}
		}
		items = append(items, it)
	}
	require.NotEmpty(t, items)
	return items
}

// packageDatabases are the databases of images and servers.
func packageDatabases(t *testing.T) (out []host) {
	for _, c := range []struct{ file, release, separator string }{
		{"apk/alpine-3.10.4.installed", "alpine 3.10", ":"}, {"apk/alpine-3.11.5.installed", "alpine 3.11", ":"},
		{"dpkg/debian11-server-modelled.status.gz", "debian 11", ": "}, {"dpkg/debian12-devhost.status.gz", "debian 12", ": "},
		{"dpkg/debian12-server-modelled.status.gz", "debian 12", ": "}, {"dpkg/debian13-server-modelled.status.gz", "debian 13", ": "},
		{"dpkg/ubuntu1804-texlive.status.gz", "ubuntu 18.04", ": "},
	} {
		items := installed(t, readFile(t, "inventories", c.file), c.separator)
		out = append(out, host{c.file, inventory(release(t, c.release), items...)})
	}
	return out
}

// indexReports are Clair's own.
func indexReports(t *testing.T) (out []host) {
	for _, file := range corpusFiles(t, "inventories/index-reports/*.json.gz") {
		b := readFile(t, "inventories/index-reports", filepath.Base(file))
		if !strings.Contains(string(b), `"environments"`) {
			continue // of before Clair v4: its packages are nowhere
		}
		var r clair.IndexReport
		require.NoError(t, json.Unmarshal(b, &r), file)
		out = append(out, host{"index-reports/" + strings.TrimSuffix(filepath.Base(file), ".json.gz"), &r})
	}
	return out
}

// vulnerableHosts are those whose distribution has a real feed in the corpus
// that is younger than they are.
var vulnerableHosts = [...]string{
	"hosts/alma_9", "hosts/debian_9", "hosts/debian_10", "hosts/debian_11", "hosts/ubuntu_1604", "hosts/ubuntu_1804",
	"hosts/rhel_90", "index-reports/rhacs-main-rhel8.index",
}

// TestExpected_Hosts matches every package list of the corpus with every feed
// of it, checks each finding by itself, and where the distribution's rule is
// plain enough also the complete set, by going through all rows of the feeds.
func TestExpected_Hosts(t *testing.T) {
	db := openStore(t)
	rows := importFeeds(t, db, append(distributionFeeds(t), languageFeeds...)...)
	plain := plainRows(rows)
	var lines []string
	for _, h := range slices.Concat(scannedHosts(t), packageDatabases(t), indexReports(t)) {
		r := reportOf(t, db, h.index)
		counts, total := map[clair.Severity]int{}, 0
		for id, vulns := range r.Report.PackageVulnerabilities {
			for _, v := range vulns {
				checkFinding(t, h, id, r.Report.Vulnerabilities[v], r.Why[id][v])
				counts[r.Report.Vulnerabilities[v].NormalizedSeverity]++
				total++
			}
		}
		checked := checkAll(t, h, r, plain)
		if slices.Contains(vulnerableHosts[:], h.name) {
			require.NotZero(t, total, h.name)
		}
		line := fmt.Sprintf("%-62s %5d %8d", h.name, len(h.index.Packages), total)
		for s := clair.Critical; s > clair.Unknown; s-- {
			line += fmt.Sprintf(" %8d", counts[s])
		}
		lines = append(lines, line+fmt.Sprintf(" %8d %8d  %s", counts[clair.Unknown], match.Pairs(r.Incomparable), checked))
	}
	t.Logf("%-62s %5s %8s %8s %8s %8s %8s %8s %8s %8s  complete set\n%s", "inventory", "pkgs", "findings",
		clair.Critical, clair.High, clair.Medium, clair.Low, clair.Negligible, clair.Unknown, "skipped", strings.Join(lines, "\n"))
}

// checkFinding: the vulnerability is of the package's own release or
// repository, and the package older than the fix.
func checkFinding(t *testing.T, h host, id string, v *clair.Vulnerability, why match.Why) {
	scheme, ok := placeOf(h.index, id, v)
	require.True(t, ok, "%s: %s of another place for %s", h.name, v.Name, why.Package)
	fixed := v.FixedInVersion
	if b, err := clair.ParseBounds(fixed); err == nil && v.Repo != nil && v.Repo.Key == "" {
		fixed = b.Fixed
	}
	if fixed == "" {
		return
	}
	own, err := version.Parse(scheme, why.Version)
	require.NoError(t, err)
	limit, err := version.Parse(scheme, fixed)
	require.NoError(t, err)
	c, err := own.Compare(limit)
	require.NoError(t, err)
	require.Negative(t, c, "%s: %s %s, fixed in %s, %s", h.name, why.Package, why.Version, fixed, v.Name)
}

// placeOf finds the environment of a package that a vulnerability is of.
func placeOf(index *clair.IndexReport, id string, v *clair.Vulnerability) (version.Scheme, bool) {
	of, distributed := distro.ReleaseOf(v.Dist)
	for _, env := range index.Environments[id] {
		for _, name := range env.RepositoryIDs {
			repo := index.Repositories[name]
			if v.Repo != nil && repo.Key == v.Repo.Key && (repo.Key != "" || repo.Name == v.Repo.Name) {
				if repo.Key != "" {
					return version.RPM, true
				}
				return version.Scheme(repo.Name), true
			}
		}
		if r, ok := distro.ReleaseOf(index.Distributions[env.DistributionID]); ok && distributed && r.Accepts(of) {
			return version.Scheme(r.Scheme), true
		}
	}
	return "", false
}

// plainKey is what a plain distribution's rows are found by.
type plainKey struct{ platform, kind, name string }

// plainRows are the rows of distributions whose rule has no more to it than a
// name and a version.
func plainRows(rows []*clair.Vulnerability) map[plainKey][]*clair.Vulnerability {
	out := map[plainKey][]*clair.Vulnerability{}
	for _, v := range rows {
		r, ok := distro.ReleaseOf(v.Dist)
		if ok && v.Repo == nil && v.Package.Module == "" && v.Package.Arch == "" && !strings.Contains(v.FixedInVersion, ".module") {
			k := plainKey{r.Platform, v.Package.Kind, v.Package.Name}
			out[k] = append(out[k], v)
		}
	}
	return out
}

// checkAll compares with the rows gone through one by one. It says what it
// did, nothing for inventories whose rule is not plain.
func checkAll(t *testing.T, h host, r *match.Result, rows map[plainKey][]*clair.Vulnerability) string {
	want, known := map[string]bool{}, false
	for id, side := range h.index.Records() {
		place, ok := distro.ReleaseOf(side.Dist)
		p := side.Package
		if !ok || side.Repo != nil || p.Module != "" || strings.Contains(h.index.Packages[id].Version, ".module") {
			continue
		}
		for _, v := range rows[plainKey{place.Platform, p.Kind, p.Name}] {
			known = true
			if v.FixedInVersion == "" || older(t, place, p.Version, v.FixedInVersion) {
				want[strings.Join([]string{id, v.Name, v.FixedInVersion}, " ")] = true
			}
		}
	}
	if !known {
		return ""
	}
	got := map[string]bool{}
	for id, vulns := range r.Report.PackageVulnerabilities {
		for _, v := range vulns {
			found := r.Report.Vulnerabilities[v]
			if found.Repo == nil && found.Package.Module == "" && found.Package.Arch == "" {
				got[strings.Join([]string{id, found.Name, found.FixedInVersion}, " ")] = true
			}
		}
	}
	require.Equal(t, want, got, h.name)
	return fmt.Sprintf("%d equal", len(got))
}

// older compares the versions of a release's packages; what cannot be compared
// is no finding.
func older(t *testing.T, r distro.Release, own, fixed string) bool {
	a, err := version.Parse(version.Scheme(r.Scheme), own)
	if err != nil {
		return false
	}
	b, err := version.Parse(version.Scheme(r.Scheme), fixed)
	require.NoError(t, err)
	c, err := a.Compare(b)
	require.NoError(t, err)
	return c < 0
}
