package match_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/store"
)

// indexOf is what a report says of its image.
func indexOf(r *clair.VulnerabilityReport) *clair.IndexReport {
	return &clair.IndexReport{
		Hash: r.Hash, State: clair.StateIndexFinished, Success: true, Packages: r.Packages,
		Distributions: r.Distributions, Repositories: r.Repositories, Environments: r.Environments,
	}
}

// storeReport makes rows of the vulnerabilities of a report, in feeds of their
// own names.
func storeReport(t *testing.T, db *store.DB, vulns map[string]*clair.Vulnerability) {
	byUpdater := map[string][]*clair.Vulnerability{}
	for _, v := range vulns {
		byUpdater[v.Updater] = append(byUpdater[v.Updater], v)
	}
	for name, rows := range byUpdater {
		storeRows(t, db, name, rows)
	}
}

// rematched names every pair of package and vulnerability of a report, without
// the ids that differ from one database to the next.
func rematched(r *clair.VulnerabilityReport) []string {
	var out []string
	for id, vulns := range r.PackageVulnerabilities {
		for _, v := range vulns {
			found := r.Vulnerabilities[v]
			repo := ""
			if found.Repo != nil {
				repo = found.Repo.Name
			}
			out = append(out, strings.Join([]string{id, r.Packages[id].Name, found.Updater, found.Name, repo}, " | "))
		}
	}
	slices.Sort(out)
	return out
}

// TestExpected_ClairReports matches the images of Clair's own reports against
// what those reports found.
func TestExpected_ClairReports(t *testing.T) {
	total := 0
	for _, file := range corpusFiles(t, "expected/public/clair-reports/*.json.gz") {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		var whole clair.VulnerabilityReport
		require.NoError(t, json.Unmarshal(withoutEnrichments(t, readFile(t, "expected/public/clair-reports", name+".json.gz")), &whole))
		db := openStore(t)
		storeReport(t, db, whole.Vulnerabilities)
		r := reportOf(t, db, indexOf(&whole))
		require.Empty(t, r.Incomparable)
		require.Equal(t, rematched(&whole), rematched(r.Report), name)

		var want, got []string
		for _, e := range table(t, readFile(t, "expected/public/clair-reports", name+".expected.tsv")) {
			want = append(want, strings.Join(e, " | "))
		}
		for id, vulns := range r.Report.PackageVulnerabilities {
			p := r.Report.Packages[id]
			for _, v := range vulns {
				found := r.Report.Vulnerabilities[v]
				got = append(got, strings.Join([]string{
					p.Name, p.Version, p.Arch, found.Name, found.FixedInVersion, found.NormalizedSeverity.String(),
				}, " | "))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, name)
		total += len(want)
	}
	t.Logf("clair-reports: %d findings as expected", total)
}

// withoutEnrichments leaves out what the enrichers of another server said.
func withoutEnrichments(t *testing.T, b []byte) []byte {
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &fields))
	delete(fields, "enrichments")
	b, err := json.Marshal(fields)
	require.NoError(t, err)
	return b
}

// resolve puts the files of an archive in the place of their references.
func resolve(t *testing.T, files map[string][]byte, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			var target any
			require.NoError(t, json.Unmarshal(files[strings.TrimPrefix(ref, "file:")], &target), ref)
			return resolve(t, files, target)
		}
		for k := range v {
			v[k] = resolve(t, files, v[k])
		}
	case []any:
		for i := range v {
			v[i] = resolve(t, files, v[i])
		}
	}
	return v
}

// read decodes a file of an archive.
func read(t *testing.T, files map[string][]byte, name string, into any) {
	var v any
	const separator = "\x1e" // of a JSON text sequence, RFC 7464
	require.NoError(t, json.Unmarshal(bytes.TrimPrefix(files[name], []byte(separator)), &v), name)
	b, err := json.Marshal(resolve(t, files, v))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, into), name)
}

// TestExpected_ClairMatcher runs the cases of Clair's matchers.
func TestExpected_ClairMatcher(t *testing.T) {
	total := 0
	for _, file := range corpusFiles(t, "expected/public/clair-matcher/*.txtar.gz") {
		files := archive(readFile(t, "expected/public/clair-matcher", filepath.Base(file)))
		var database struct {
			Vulnerabilities map[string][]*clair.Vulnerability
		}
		var index clair.IndexReport
		var want clair.VulnerabilityReport
		read(t, files, "Database", &database)
		read(t, files, "IndexReport", &index)
		read(t, files, "Want", &want)
		db, all := openStore(t), map[string]*clair.Vulnerability{}
		for _, list := range database.Vulnerabilities {
			for _, v := range list {
				all[v.ID] = v
			}
		}
		storeReport(t, db, all)
		r := reportOf(t, db, &index)
		require.Empty(t, r.Incomparable)
		require.Equal(t, rematched(&want), rematched(r.Report), file)
		total += len(rematched(&want))
		t.Logf("%s: %d rows in the database, %d findings", filepath.Base(file), len(all), len(rematched(&want)))
	}
	t.Logf("clair-matcher: %d findings as expected", total)
}

// TestExpected_VEX matches the image that a statement of Red Hat's VEX is
// tested with: a package of a module, before and after it was rebuilt.
func TestExpected_VEX(t *testing.T) {
	db := openStore(t)
	const dir = "expected/public/vex-acceptance/"
	packed := filepath.Join(t.TempDir(), "vex.tar")
	require.NoError(t, os.WriteFile(packed, inTar(t, "2025/cve-2025-40907.json", readFile(t, dir+"cve-2025-40907-perl.json.gz")), 0o600))
	importFeeds(t, db, feed{format: "redhat-vex", path: packed})
	line := strings.TrimSpace(string(readFile(t, dir+"cve-2025-40907.csv")))
	last := strings.Split(line[strings.LastIndexByte(line, '\n')+1:], ",")
	cve, product, status := last[0], last[1], last[2]
	require.Equal(t, "affected", status)
	require.Contains(t, product, "perl-FCGI-1:0.78-12.module+el8.10.0+23147+95b68fad.aarch64::perl-FCGI:0.78")

	find := func(version, module, cpe string) []string {
		index := inventory(release(t, "rhel:8"), item{name: "perl-FCGI", version: version, arch: "aarch64", module: module, repo: "r"})
		index.Repositories["r"] = &clair.Repository{ID: "r", Key: "rhel-cpe-repository", Name: cpe, CPE: cpe}
		r, err := match.Report(t.Context(), db, index)
		require.NoError(t, err)
		require.Empty(t, r.Incomparable)
		return idsOf(r)
	}
	const appstream = "cpe:2.3:a:redhat:enterprise_linux:8:*:appstream:*:*:*:*:*"
	for _, c := range []struct {
		why, version, module, cpe string
		want                      []string
	}{
		{"the image, whose build is older", "1:0.78-11.module+el8.3.0+6498+9eecfe51", "perl-FCGI:0.78", appstream, []string{cve}},
		{"the build that fixes it", "1:0.78-12.module+el8.10.0+23147+95b68fad", "perl-FCGI:0.78", appstream, nil},
		{"the same fix, built for another stream of Perl", "1:0.78-12.module+el8.10.0+23147+20b7d289", "perl-FCGI:0.78", appstream, nil},
		{"another module", "1:0.78-11.module+el8.3.0+6498+9eecfe51", "perl:5.26", appstream, nil},
		{"another release", "1:0.78-11.module+el8.3.0+6498+9eecfe51", "perl-FCGI:0.78", "cpe:2.3:a:redhat:enterprise_linux:9:*:appstream:*:*:*:*:*", nil},
	} {
		require.Equal(t, fmt.Sprint(c.want), fmt.Sprint(find(c.version, c.module, c.cpe)), c.why)
	}
}

// inTar makes a tar of one file, as Red Hat's archive has them.
func inTar(t *testing.T, name string, content []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}))
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}
