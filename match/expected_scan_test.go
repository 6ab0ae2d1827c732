package match_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/client"
	"oriel/match"
	"oriel/scanner"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/window"
)

// snapshots hands a store's snapshots to the window's driver, as main does.
type snapshots struct{ db *store.DB }

func (s snapshots) Snapshot(ctx context.Context) (patches.Snapshot, error) {
	snap, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// newScanner makes a scanner of a real server on a database.
func newScanner(t *testing.T, db *store.DB) *scanner.Scanner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	windows := patches.New(window.Default(), snapshots{db}, nil, log)
	srv := httptest.NewServer(server.New(server.Options{Patches: windows, Log: log}))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- windows.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		srv.Close()
	})
	c, err := client.New(client.Options{URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return scanner.New(scanner.Options{Server: c, GiveUp: 10 * time.Second})
}

// requireSameFindings scans an inventory, and requires what its report says.
func requireSameFindings(t *testing.T, db *store.DB, s *scanner.Scanner, h host) (findings, rows int) {
	t.Helper()
	want := reportOf(t, db, h.index)
	got, err := s.Scan(t.Context(), h.index)
	require.NoError(t, err, h.name)
	require.Equal(t, want.Report.PackageVulnerabilities, got.Report.PackageVulnerabilities, "%s: %v, unknown %v", h.name, got.Platforms, got.Unknown)
	require.Len(t, got.Report.Vulnerabilities, len(want.Report.Vulnerabilities))
	for id, v := range want.Report.Vulnerabilities {
		o := *got.Report.Vulnerabilities[id]
		expected := *v
		slices.Sort(o.Aliases)
		slices.Sort(expected.Aliases)
		require.Equal(t, expected, o, h.name)
	}
	require.Equal(t, want.Why, got.Why)
	for _, ids := range want.Report.PackageVulnerabilities {
		findings += len(ids)
	}
	return findings, got.Rows
}

// everyInventory is all that the corpus has and that can be read.
func everyInventory(t *testing.T) []host {
	all := slices.Concat(scannedHosts(t), packageDatabases(t), indexReports(t))
	for _, file := range slices.Concat(corpusFiles(t, "inventories/sbom/*"), corpusFiles(t, "inventories/images/*")) {
		in, err := index.ReadInput(t.Context(), file, index.InputOptions{TempDir: t.TempDir()})
		if err != nil {
			require.ErrorIs(t, err, clair.ErrInvalid, file) // an SBOM that nothing can be matched of
			continue
		}
		all = append(all, host{filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file), in.Report})
	}
	return all
}

// TestExpected_Scan scans every inventory of the corpus, through a window on
// all feeds of it: what the scanner finds with its own lists is what the server
// finds by looking up.
func TestExpected_Scan(t *testing.T) {
	db := openStore(t)
	importFeeds(t, db, append(distributionFeeds(t), languageFeeds...)...)
	s := newScanner(t, db)
	var lines []string
	total := 0
	for _, h := range everyInventory(t) {
		findings, rows := requireSameFindings(t, db, s, h)
		total += findings
		lines = append(lines, fmt.Sprintf("%-62s %5d %8d %8d", h.name, len(h.index.Packages), findings, rows))
	}
	require.NotZero(t, total)
	t.Logf("%-62s %5s %8s %8s\n%s", "inventory", "pkgs", "findings", "rows", strings.Join(lines, "\n"))
}

// TestScan_Places scans packages of all kinds of places, each with rows that
// name their place in another way than the platform's.
func TestScan_Places(t *testing.T) {
	db := openStore(t)
	row := func(name string, dist *clair.Distribution, repo *clair.Repository, kind string) *clair.Vulnerability {
		return &clair.Vulnerability{Name: name, Package: &clair.Package{Name: "p", Kind: kind}, Dist: dist, Repo: repo}
	}
	rhel := func(cpe string) *clair.Repository { return &clair.Repository{Name: cpe, Key: "rhel-cpe-repository"} }
	odd := *release(t, "alpine 3.18")
	odd.VersionID, odd.Version = "3.19.1", "3.19" // Alpine's rule uses the pretty name
	suse := *release(t, "sles 15.5")
	suse.VersionID, suse.PrettyName = "15", "whatever"
	storeRows(t, db, "rows", []*clair.Vulnerability{
		row("alpine", release(t, "alpine 3.18"), nil, clair.Binary), row("alpine-odd", &odd, nil, clair.Binary),
		row("alpine-other", release(t, "alpine 3.19"), nil, clair.Binary),
		row("debian", release(t, "debian 12"), &clair.Repository{Name: "main"}, clair.Binary),
		row("suse", &suse, nil, clair.Binary), row("wolfi", &clair.Distribution{DID: "wolfi", VersionID: "20230201"}, nil, clair.Binary),
		row("rhel-9", nil, rhel("cpe:/o:redhat:enterprise_linux:9"), clair.Binary),
		row("rhel-8", nil, rhel("cpe:/o:redhat:enterprise_linux:8"), clair.Binary),
		row("openshift", nil, rhel("cpe:/a:redhat:openshift:4"), clair.Binary),
		row("openshift-el8", nil, rhel("cpe:2.3:a:redhat:openshift:4.13:*:el8:*:*:*:*:*"), clair.Binary),
		row("one", nil, rhel("cpe:/o:redhat:enterprise_linux:1"), clair.Binary),
		row("image", nil, &clair.Repository{Name: "cpe:/a:redhat:openshift:4", Key: "rhcc-container-repository"}, clair.Binary),
		row("go", release(t, "debian 12"), &clair.Repository{Name: "go"}, clair.Binary),
		row("pypi", nil, &clair.Repository{Name: "pypi", URI: "https://pypi.org/simple"}, clair.Binary),
		row("no-kind", nil, &clair.Repository{Name: "pypi"}, ""),
	})
	s := newScanner(t, db)
	at := func(dist *clair.Distribution, repos ...*clair.Repository) *clair.IndexReport {
		r := inventory(dist, item{name: "p", version: "1"})
		for i, repo := range repos {
			id := fmt.Sprint("r", i)
			r.Repositories[id] = repo
			r.Environments["0"][0].RepositoryIDs = append(r.Environments["0"][0].RepositoryIDs, id)
		}
		return r
	}
	for _, c := range []struct {
		name  string
		index *clair.IndexReport
		want  []string
	}{
		{"alpine", at(release(t, "alpine 3.18")), []string{"alpine", "alpine-odd"}},
		{"raspbian", at(release(t, "raspbian 12")), []string{"debian", "go"}},
		{"debian_and_go", at(release(t, "debian 12"), nil, &clair.Repository{Name: "go"}), []string{"debian", "go"}},
		{"sles", at(release(t, "sles 15.5")), []string{"suse"}},
		{"wolfi", at(release(t, "wolfi")), []string{"wolfi"}},
		{"centos", at(release(t, "centos 9")), []string{"rhel-9"}},
		{"openshift_9", at(release(t, "rhel 9"), rhel("cpe:/a:redhat:openshift:4.13::el9")), []string{"openshift"}},
		{"openshift_8_on_9", at(release(t, "rhel 9"), rhel("cpe:/a:redhat:openshift:4.13::el8")), []string{"openshift", "openshift-el8"}},
		{"openshift_alone", at(nil, rhel("cpe:/a:redhat:openshift:4.13")), []string{"openshift"}},
		{"rhel_10", at(release(t, "rhel 10"), rhel("cpe:/o:redhat:enterprise_linux:10::baseos")), nil},
		{"image", at(nil, &clair.Repository{Name: "Red Hat Container Catalog", Key: "rhcc-container-repository"}), []string{"image"}},
		{"pypi", at(nil, &clair.Repository{Name: "pypi"}), []string{"no-kind", "pypi"}},
		{"unknown", at(&clair.Distribution{DID: "plan9"}), nil},
		{"no_rows", at(release(t, "fedora 40")), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			requireSameFindings(t, db, s, host{c.name, c.index})
			require.Equal(t, c.want, idsOf(reportOf(t, db, c.index)))
		})
	}
	for platform, holds := range map[string]bool{"rhel:9": true, "rhel:10": true, "rhel:123": false, "debian:12": false, "rhel": true} {
		require.Equal(t, holds, match.Belongs("rhel", platform), platform)
	}
	for name, want := range map[string]string{"centos:7": "rhel:7", "Ubuntu 22.04": "ubuntu:22.04", "PyPI": "pypi", "RHCC": "rhcc", "crates.io": "crates.io", " bookworm ": "debian:12"} {
		got, ok := match.PlatformNamed(name)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	require.Equal(t, []string{"fedora:40"}, match.PlatformsFor(at(release(t, "fedora 40"))))
}
