package match_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
)

func language(repo, name, version string) clair.Record {
	return clair.Record{
		Package: &clair.Package{Name: name, Version: version, Kind: clair.Binary},
		Repo:    &clair.Repository{Name: repo},
	}
}

func advisory(repo, name, fixed string) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name: "ADV-1", Package: &clair.Package{Name: name, Kind: clair.Binary},
		Repo: &clair.Repository{Name: repo}, FixedInVersion: fixed,
	}
}

// requireAffects checks a case of a table.
func requireAffects(t *testing.T, name string, want bool, v *clair.Vulnerability, r clair.Record) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		got, err := match.NewJudge().Affects(v, r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestAffects_Languages(t *testing.T) {
	for _, c := range []struct {
		repo, version, bounds string
		want                  bool
	}{
		{"pypi", "0.9", "fixed=2.0&introduced=1.0", false}, // MAT-10
		{"pypi", "1.0", "fixed=2.0&introduced=1.0", true},
		{"pypi", "2.0", "fixed=2.0&introduced=1.0", false},
		{"pypi", "2.0rc1", "fixed=2.0&introduced=1.0", true},
		{"pypi", "2.0", "lastAffected=2.0", true},
		{"pypi", "2.0.1", "lastAffected=2.0", false},
		{"pypi", "1.0.0", "versions=0.9%2C1.0", true},
		{"pypi", "1.1", "versions=0.9%2C1.0", false},
		{"pypi", "1.1", "versions=not%2Cversions", false},
		{"pypi", "3", "", true},
		{"pypi", "3", "introduced=1", true},
		{"pypi", "3", "4.0", true}, // a plain fixed version, as other servers send
		{"pypi", "3", "introduced=1&limit=3", false},
		{"pypi", "2.9", "introduced=1&limit=3", true},
		{"go", "v1.2.3", "fixed=1.2.3&introduced=0", false},
		{"go", "v1.2.3-rc.1", "fixed=1.2.3&introduced=0", true},
		{"go", "v0.0.0-20200101000000-abcdefabcdef", "fixed=0.1.0&introduced=0", true},
		{"maven", "2.14.1", "fixed=2.15.0&introduced=2.13.0", true},
		{"npm", "4.17.20", "fixed=4.17.21", true},
		{"rubygems", "6.0.0", "fixed=6.0.0.1", true},
		{"rubygems", "1.13.6-x86_64-linux", "fixed=1.13.6", false},

		// A local label counts only for bounds that exclude their version.
		{"pypi", "2.10.0+cpu", "lastAffected=2.10.0", true},
		{"pypi", "2.10.0.post1+cpu", "lastAffected=2.10.0", false},
		{"pypi", "2.10.0+cpu", "lastAffected=2.10.0%2Babc", false},
		{"pypi", "2.6.0+cu124", "versions=2.5.0%2C2.6.0", true},
		{"pypi", "2.6.0+cu124", "fixed=2.6.0", false},
		{"pypi", "2.6.0+cu124", "introduced=2.6.0", true},
		{"pypi", "1.13.1+cu117", "fixed=1.13.1", false},

		{"packagist", "6.x-dev", "fixed=6.0.0", false},
		{"packagist", "6.x-dev", "fixed=7.0.0&introduced=6.0.0", true},
	} {
		t.Run(fmt.Sprintf("%s_%s_%s", c.repo, c.version, c.bounds), func(t *testing.T) {
			got, err := match.NewJudge().Affects(advisory(c.repo, "p", c.bounds), language(c.repo, "p", c.version))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// Advisories of Go's standard library are about releases, which vendors build
// under their own names.
func TestAffects_GoStandardLibrary(t *testing.T) {
	for _, version := range []string{"go1.21.8", "1.21.8", "v1.21.8", "go1.21.8-X:nodwarf5", "1.21.8-1", "1.21.8-microsoft", "go1.21.8 (Red Hat 1.21.8-1.el9)"} {
		for fixed, want := range map[string]bool{"fixed=1.21.8&introduced=1.21.0-0": false, "fixed=1.21.9&introduced=1.21.0-0": true} {
			t.Run(version+"_"+fixed, func(t *testing.T) {
				got, err := match.NewJudge().Affects(advisory("go", "stdlib", fixed), language("go", "stdlib", version))
				require.NoError(t, err)
				require.Equal(t, want, got)
			})
		}
	}
}

// TestAffects_Incomparable has texts that are not versions: they are neither
// affected nor unaffected, unless every version is.
func TestAffects_Incomparable(t *testing.T) {
	for _, version := range []string{"^4.17.21", ">=1", "git+https://example.org/p.git", "file:../p", "[5,6)", "${v}", "unspecified", "master-2024", "dev-fix-1234",
		strings.Repeat("1.", 5000) + "1"} {
		for _, repo := range []string{"npm", "pypi", "maven", "packagist", "go", "crates.io", "rubygems", "nuget"} {
			t.Run(fmt.Sprintf("%s_%.20s", repo, version), func(t *testing.T) {
				got, err := match.NewJudge().Affects(advisory(repo, "p", "fixed=99"), language(repo, "p", version))
				require.ErrorIs(t, err, clair.ErrInvalid)
				require.False(t, got)
				got, err = match.NewJudge().Affects(advisory(repo, "p", ""), language(repo, "p", version))
				require.NoError(t, err)
				require.True(t, got)
			})
		}
	}
}

// Clair's rows of Go modules have a range of normalised versions (MAT-10).
func TestAffects_Range(t *testing.T) {
	v := advisory("go", "p", "1.2.0")
	v.Range = &clair.Range{Lower: "semver:0.1.1.0.0.0.0.0.0.0", Upper: "semver:0.1.2.0.0.0.0.0.0.0"}
	for version, want := range map[string]bool{"v1.0.9": false, "v1.1.0": true, "v1.1.9": true, "v1.2.0": false} {
		got, err := match.NewJudge().Affects(v, language("go", "p", version))
		require.NoError(t, err)
		require.Equal(t, want, got, version)
	}
	v.Range = &clair.Range{Lower: "semver:0.0.0.0.0.0.0.0.0.0", Upper: "semver:65535.0.0.0.0.0.0.0.0.0"}
	got, err := match.NewJudge().Affects(v, language("go", "p", "v9.9.9"))
	require.NoError(t, err)
	require.True(t, got, "an open upper bound")
	r := language("go", "p", "no version")
	r.Package.NormalizedVersion = "semver:0.1.1.0.0.0.0.0.0.0"
	got, err = match.NewJudge().Affects(v, r)
	require.NoError(t, err)
	require.True(t, got, "the index report's own normalised version")
}

func TestAffects_WhatIsCompared(t *testing.T) {
	v := advisory("pypi", "zope.interface", "fixed=5")
	for _, c := range []struct {
		name   string
		change func(*clair.Record)
		want   bool
	}{
		{"same", func(*clair.Record) {}, true},
		{"another_spelling", func(r *clair.Record) { r.Package.Name = "Zope_Interface" }, true},
		{"another_name", func(r *clair.Record) { r.Package.Name = "zope" }, false},
		{"source", func(r *clair.Record) { r.Package.Kind = clair.Source }, false},
		{"another_ecosystem", func(r *clair.Record) { r.Repo = &clair.Repository{Name: "npm"} }, false},
		{"no_repository", func(r *clair.Record) { r.Repo = nil }, false},
		{"unmatchable", func(r *clair.Record) { r.Package.NormalizedVersion = "unmatchable" }, false},
		{"on_a_distribution", func(r *clair.Record) { r.Dist = &clair.Distribution{DID: "debian", VersionID: "12"} }, true},
	} {
		r := language("pypi", "zope.interface", "4.0")
		c.change(&r)
		requireAffects(t, c.name, c.want, v, r)
	}
}

func TestAffects_CannotCompare(t *testing.T) {
	for _, version := range []string{"(devel)", "", "unknown"} {
		got, err := match.NewJudge().Affects(advisory("go", "p", "fixed=1.0.0"), language("go", "p", version))
		require.ErrorIs(t, err, clair.ErrInvalid)
		require.False(t, got)
	}
}

var (
	alpine318 = clair.Distribution{DID: "alpine", Name: "Alpine Linux", VersionID: "3.18", PrettyName: "Alpine Linux v3.18"}
	debian12  = clair.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", PrettyName: "Debian GNU/Linux 12 (bookworm)"}
	jammy     = clair.Distribution{DID: "ubuntu", Name: "Ubuntu", VersionID: "22.04", PrettyName: "Ubuntu 22.04 LTS"}
	amzn1     = clair.Distribution{DID: "amzn", Name: "Amazon Linux AMI", Version: "2018.03", VersionID: "2018.03"}
	amzn2     = clair.Distribution{DID: "amzn", Name: "Amazon Linux", VersionID: "2", PrettyName: "Amazon Linux 2"}
)

func TestAffects_Distributions(t *testing.T) {
	for _, c := range []struct {
		dist           clair.Distribution
		version, fixed string
		want           bool
	}{
		{alpine318, "1.2.3-r0", "1.2.3-r1", true}, // MAT-06
		{alpine318, "1.2.3-r1", "1.2.3-r1", false},
		{alpine318, "1.2.3-r1", "", true},
		{alpine318, "1.2.3-r1", "0", false},
		{debian12, "1.0-1", "1.0-1+deb12u1", true}, // MAT-07
		{debian12, "1:1.0-1", "2.0-1", false},
		{debian12, "1.0~rc1-1", "1.0-1", true},
		{debian12, "1.0-1", "0", false},
		{debian12, "1.0-1", "", true},
		{jammy, "1.0-1", "0", true},
		{jammy, "1.0-1", "1.0-0ubuntu1", false},
		{amzn2, "1.0-1.amzn2", "1.0-2.amzn2", true}, // MAT-08
		{amzn2, "1.0-2.amzn2", "1.0-2.amzn2", false},
		{amzn2, "1.0-2.amzn2", "", true},

		// Bounds of feeds that say more than a fixed version.
		{debian12, "1.0-1", "introduced=2.0-1", false},
		{debian12, "2.0-1", "introduced=2.0-1", true},
		{debian12, "2.0-3", "introduced=2.0-1&lastAffected=2.0-2", false},
		{alpine318, "1.2.3-r1", "versions=1.2.3-r0%2C1.2.3-r1", true},
		{alpine318, "1.2.3-r2", "versions=1.2.3-r0%2C1.2.3-r1", false},
		{amzn2, "1.0-2.amzn2", "lastAffected=1.0-2.amzn2", true},
	} {
		v := &clair.Vulnerability{Name: "CVE-1", Package: &clair.Package{Name: "p", Kind: clair.Source}, Dist: &c.dist, FixedInVersion: c.fixed}
		r := clair.Record{Package: &clair.Package{Name: "p", Version: c.version, Kind: clair.Source}, Dist: &c.dist}
		requireAffects(t, fmt.Sprintf("%s_%s_%s", c.dist.DID, c.version, c.fixed), c.want, v, r)
	}
	other := alpine318
	other.VersionID, other.PrettyName = "3.19", "Alpine Linux v3.19"
	v := &clair.Vulnerability{Package: &clair.Package{Name: "p", Kind: clair.Source}, Dist: &other}
	got, err := match.NewJudge().Affects(v, clair.Record{Package: &clair.Package{Name: "p", Version: "1-r0", Kind: clair.Source}, Dist: &alpine318})
	require.NoError(t, err)
	require.False(t, got, "another release")
}

func TestAffects_RPM(t *testing.T) {
	rpm := func(arch string) clair.Record {
		return clair.Record{Package: &clair.Package{Name: "p", Version: "1.0-1", Kind: clair.Binary, Arch: arch}, Dist: &amzn2}
	}
	for _, c := range []struct {
		op          clair.ArchOp
		vuln, arch  string
		last, fixed string
		want        bool
	}{
		{clair.ArchPattern, "aarch64|x86_64", "x86_64", "", "2", true},
		{clair.ArchPattern, "aarch64|x86_64", "s390x", "", "2", false},
		{clair.ArchPattern, "^x86", "x86_64", "", "2", true},
		{clair.ArchPattern, "(", "x86_64", "", "2", false},
		{clair.ArchPattern, "aarch64", "", "", "2", false},
		{clair.ArchEquals, "x86_64", "x86_64", "", "2", true},
		{clair.ArchEquals, "x86_64", "aarch64", "", "2", false},
		{clair.ArchNotEquals, "x86_64", "aarch64", "", "2", true},
		{"", "", "", "1.0-1", "", true}, // up to the advisory's own version
		{"", "", "", "0.9-1", "", false},
	} {
		v := &clair.Vulnerability{
			Package: &clair.Package{Name: "p", Kind: clair.Binary, Arch: c.vuln, Version: c.last},
			Dist:    &amzn2, FixedInVersion: c.fixed, ArchOperation: c.op,
		}
		requireAffects(t, fmt.Sprint(c.op, "_", c.vuln, "_", c.arch, "_", c.last), c.want, v, rpm(c.arch))
	}
}

// MAT-09.
func TestAffects_RedHat(t *testing.T) {
	for _, c := range []struct {
		vuln, record, module string
		want                 bool
	}{
		{"cpe:/a:redhat:openshift:4", "cpe:/a:redhat:openshift:4.13::el8", "", true},
		{"cpe:/a:redhat:openshift:4", "cpe:/a:redhat:openshift:5.1::el8", "", false},
		{"cpe:/o:redhat:enterprise_linux:9::baseos", "cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*", "", true},
		{"cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*", "", false},
		{"cpe:/a:redhat:openshift:4", "cpe:/a:redhat:openshift:4.13::el8", "nodejs:18", false},
		{"not a cpe", "cpe:/a:redhat:openshift:4.13::el8", "", false},

		// The minor release in which a fix came, and streams that stay at one.
		{"cpe:/o:redhat:enterprise_linux:10.0", "cpe:/o:redhat:enterprise_linux:10::baseos", "", true},
		{"cpe:/o:redhat:enterprise_linux:10.1", "cpe:/o:redhat:enterprise_linux:10.0", "", true},
		{"cpe:/o:redhat:enterprise_linux:10", "cpe:/o:redhat:enterprise_linux:10.1", "", true},
		{"cpe:/o:redhat:enterprise_linux_eus:10.0", "cpe:/o:redhat:enterprise_linux:10::baseos", "", false},
		{"cpe:/o:redhat:rhel_eus:9.2::baseos", "cpe:/o:redhat:enterprise_linux:9::baseos", "", false},
		{"cpe:/o:redhat:rhel_eus:9.2::baseos", "cpe:/o:redhat:rhel_eus:9.2::baseos", "", true},
		{"cpe:/o:redhat:rhel_eus:9.2::baseos", "cpe:/o:redhat:rhel_eus:9.4::baseos", "", false},
		{"cpe:/o:redhat:enterprise_linux:1.0", "cpe:/o:redhat:enterprise_linux:10::baseos", "", false},
	} {
		v := &clair.Vulnerability{
			Package: &clair.Package{Name: "p", Kind: clair.Binary}, FixedInVersion: "2",
			Repo: &clair.Repository{Key: "rhel-cpe-repository", Name: c.vuln},
		}
		r := clair.Record{
			Package: &clair.Package{Name: "p", Version: "1", Kind: clair.Binary, Module: c.module},
			Repo:    &clair.Repository{Key: "rhel-cpe-repository", CPE: c.record},
		}
		requireAffects(t, c.vuln+"_"+c.record, c.want, v, r)
	}
}

// A host does not say from which repository its packages are.
func TestAffects_RedHatHost(t *testing.T) {
	for _, tt := range []struct {
		advisory, system string
		want             bool
	}{
		{"cpe:/o:redhat:enterprise_linux:9::baseos", "rhel:9", true},
		{"cpe:/a:redhat:enterprise_linux:9::appstream", "rhel:9", true},
		{"cpe:/a:redhat:enterprise_linux:9::highavailability", "rhel:9", true},
		{"cpe:/a:redhat:enterprise_linux:9::nfv", "rhel:9", true},
		{"cpe:/a:redhat:enterprise_linux:9::supplementary", "centos:9", true},
		{"cpe:/o:redhat:enterprise_linux:10.1", "rhel:10", true},
		{"cpe:/o:redhat:enterprise_linux:7::workstation", "rhel:7", true},
		{"cpe:/o:redhat:rhel_els:7", "rhel:7", true},
		{"cpe:/o:redhat:rhel_eus:9.2::baseos", "rhel:9", false},
		{"cpe:/a:redhat:openshift:4.13::el9", "rhel:9", false},
		{"cpe:/o:redhat:enterprise_linux:8::baseos", "rhel:9", false},
	} {
		t.Run(tt.advisory+"_"+tt.system, func(t *testing.T) {
			v := &clair.Vulnerability{
				Package: &clair.Package{Name: "p", Kind: clair.Binary}, FixedInVersion: "2",
				Repo: &clair.Repository{Key: clair.RHELKey, Name: tt.advisory},
			}
			r := clair.Record{Package: &clair.Package{Name: "p", Version: "1", Kind: clair.Binary}, Dist: release(t, tt.system)}
			got, err := match.NewJudge().Affects(v, r)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

// A module is built once for each stream of its dependencies, and the hash
// that distinguishes these builds has no order. CVE-2025-40907 in
// perl-FCGI:0.78.
func TestAffects_ModuleContext(t *testing.T) {
	const fixed = "1:0.78-12.module+el8.10.0+23147+95b68fad"
	for version, want := range map[string]bool{
		fixed: false,
		"1:0.78-12.module+el8.10.0+23147+20b7d289": false, // a sibling
		"1:0.78-12.module+el8.10.0+23147+df114ff4": false,
		"1:0.78-12.module+el8.10.0+23146+df114ff4": true, // the build before
		"1:0.78-11.module+el8.3.0+6498+9eecfe51":   true,
		"1:0.78-13.module+el8.10.0+23200+00000000": false,
	} {
		v := &clair.Vulnerability{Package: &clair.Package{Name: "p", Kind: clair.Binary}, Dist: &amzn2, FixedInVersion: fixed}
		r := clair.Record{Package: &clair.Package{Name: "p", Version: version, Kind: clair.Binary}, Dist: &amzn2}
		requireAffects(t, version, want, v, r)
	}
}

// Streams of a module, and the package that is in none, have versions of their
// own. ALSA-2022:8832 fixes nodejs:18 of AlmaLinux 9 alone.
func TestAffects_Modules(t *testing.T) {
	alma9 := clair.Distribution{DID: "almalinux", Name: "AlmaLinux", VersionID: "9", Version: "9"}
	const fixed = "1:18.12.1-1.module_el9.1.0+16+91bc168f"
	for _, c := range []struct {
		advisory, fixed, own, version string
		want                          bool
	}{
		{"nodejs:18", fixed, "nodejs:18", "1:18.12.0-1.module_el9.1.0+15+0abcdef0", true},
		{"nodejs:18", fixed, "nodejs:18", fixed, false},
		{"nodejs:18", fixed, "nodejs:16", "1:16.18.1-1.module_el9.1.0+15+0abcdef0", false},
		{"nodejs:18", fixed, "", "1:16.18.1-3.el9_1", false},
		{"nodejs:18", fixed, "", "1:18.12.0-1.module_el9.1.0+15+0abcdef0", true}, // which stream is not known
		{"", fixed, "nodejs:18", "1:18.12.0-1.module_el9.1.0+15+0abcdef0", true},
		{"", "1:20.0.0-1.el9", "nodejs:18", "1:18.12.0-1.module_el9.1.0+15+0abcdef0", false},
		{"", "1:20.0.0-1.el9", "", "1:18.12.0-1.module_el9.1.0+15+0abcdef0", false},
		{"", "1:20.0.0-1.el9", "", "1:16.18.1-3.el9_1", true},
		{"", "", "nodejs:18", fixed, true},
	} {
		v := &clair.Vulnerability{Package: &clair.Package{Name: "nodejs", Kind: clair.Binary, Module: c.advisory}, Dist: &alma9, FixedInVersion: c.fixed}
		r := clair.Record{Package: &clair.Package{Name: "nodejs", Version: c.version, Kind: clair.Binary, Module: c.own}, Dist: &alma9}
		requireAffects(t, fmt.Sprint(c.advisory, "_", c.fixed, "_", c.own, "_", c.version), c.want, v, r)
	}
}

var ol8 = clair.Distribution{DID: "ol", Name: "Oracle Linux Server", Version: "8", VersionCodeName: "Oracle Linux 8", VersionID: "8", PrettyName: "Oracle Linux Server 8"}

// An advisory is about packages of its own flavour and kernel alone.
func TestAffects_Flavours(t *testing.T) {
	fips := jammy
	fips.VersionID = "20.04"
	for _, tt := range []struct {
		name                 string
		dist                 clair.Distribution
		pkg, kind            string
		version, fixed, arch string
		want                 bool
	}{
		{"plain", ol8, "gnutls", clair.Binary, "3.6.14-7.el8_3", "3.6.16-4.el8", "x86_64", true},
		{"fips_advisory", ol8, "gnutls", clair.Binary, "3.6.14-7.el8_3", "10:3.6.16-4.0.1.el8_fips", "x86_64", false},
		{"fips", ol8, "gnutls", clair.Binary, "10:3.6.14-7.0.1.el8_fips", "10:3.6.16-4.0.1.el8_fips", "x86_64", true},
		{"plain_advisory_of_fips", ol8, "gnutls", clair.Binary, "3.6.14-7.0.1.el8_fips", "3.6.16-4.el8", "x86_64", false},
		{"ksplice_advisory", ol8, "glibc", clair.Binary, "2.28-127.el8", "2:2.28-151.0.1.ksplice2.el8", "x86_64", false},
		{"ksplice", ol8, "glibc", clair.Binary, "2:2.28-127.0.1.ksplice1.el8", "2:2.28-151.0.1.ksplice2.el8", "x86_64", true},
		{"unfixed", ol8, "gnutls", clair.Binary, "10:3.6.14-7.0.1.el8_fips", "", "x86_64", true},
		{"another_uek", ol8, "kernel-uek", clair.Binary, "4.14.35-2047.510.el8", "5.4.17-2136.312.el8", "x86_64", false},
		{"same_uek", ol8, "kernel-uek", clair.Binary, "5.4.17-2136.300.el8", "5.4.17-2136.312.el8", "x86_64", true},
		{"kernel_of_oracle", ol8, "kernel", clair.Binary, "4.18.0-348.el8", "4.18.0-372.el8", "x86_64", true},
		{"another_kernel_of_amazon_2", amzn2, "kernel", clair.Binary, "4.14.355-1.amzn2", "5.10.68-62.173.amzn2", "x86_64", false},
		{"same_kernel_of_amazon_2", amzn2, "kernel", clair.Binary, "5.10.50-1.amzn2", "5.10.68-62.173.amzn2", "x86_64", true},
		{"kernel_of_amazon_1", amzn1, "kernel", clair.Binary, "4.9.85-38.58.amzn1", "4.14.256-1.amzn1", "x86_64", true},
		{"ubuntu_fips", fips, "openssl", clair.Source, "1.1.1f-1ubuntu2.fips.7.1", "1.1.1f-1ubuntu2.8", "amd64", false},
		{"ubuntu_esm", fips, "openssl", clair.Source, "1.1.1f-1ubuntu2.7", "1.1.1f-1ubuntu2.24+esm1", "amd64", true},
		{"source_without_epoch", amzn2, "perl", clair.Source, "5.26.3-419.amzn2", "4:5.26.3-419.amzn2", "x86_64", false},
		{"older_source_without_epoch", amzn2, "perl", clair.Source, "5.26.3-416.amzn2", "4:5.26.3-419.amzn2", "x86_64", true},
		{"source_with_epoch", amzn2, "perl", clair.Source, "3:5.26.3-419.amzn2", "4:5.26.3-419.amzn2", "x86_64", true},
		{"binary_without_epoch", amzn2, "perl", clair.Binary, "5.26.3-419.amzn2", "4:5.26.3-419.amzn2", "x86_64", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &clair.Vulnerability{Name: "ADV-1", Package: &clair.Package{Name: tt.pkg, Kind: tt.kind}, Dist: &tt.dist, FixedInVersion: tt.fixed}
			r := clair.Record{Package: &clair.Package{Name: tt.pkg, Version: tt.version, Kind: tt.kind, Arch: tt.arch}, Dist: &tt.dist}
			got, err := match.NewJudge().Affects(v, r)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}
