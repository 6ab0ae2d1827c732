package render_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/purl"
	"oriel/internal/render"
	"oriel/internal/severity"
)

func TestNew(t *testing.T) {
	in := sample()
	r := render.New(in, render.Filter{})
	var order []string
	for _, f := range r.Findings {
		order = append(order, f.Package.Name+" "+f.Vulnerability.Name)
	}
	evil := "evil\ufffd[31m\ufffd31m  OK\ufffd"
	require.Equal(t, []string{
		"org.apache.logging.log4j:log4j-core GHSA-jfh8-c2jp-5v3q", // known to be exploited
		"golang.org/x/net GO-2024-2687",                           // EPSS 66 %
		"@babel/traverse GHSA-67hx-6x53-jw92",                     // critical, with a fix
		evil + " CVE-2024-0727", "libssl3 CVE-2024-0727",          // EPSS 0.24 %
		evil + " CVE-2099-0001", evil + " CVE-2099-0002", "libssl3 CVE-2023-5678",
	}, order)
	require.Equal(t, [6]int{1, 1, 1, 2, 1, 2}, r.Counts)
	require.Equal(t, []int{1, 6, 0, 6}, []int{r.Exploited, r.Fixable, r.Hidden, len(r.Packages)})
	require.Same(t, in.Report, r.Data)
	top := r.Findings[0].Vulnerability
	require.Equal(t, "2.15.0", top.Fixed)
	require.Equal(t, in.Priority["12"], top.Priority)
	require.Equal(t, []string{"https://example.com/%22onmouseover=%22x"}, r.Findings[5].Vulnerability.Links)
	require.Len(t, r.Warnings(), 3)
	require.Equal(t, "8 findings: 2 critical, 1 high, 2 medium, 1 low, 1 negligible, 1 unknown; 6 with a fix, 1 known to be exploited; 6 packages, 3 not covered, 1 not matched, 1 not compared", r.Summary())
}

// TestNew_Scored has a finding whose feed has no severity and whose CVE has a
// CVSS score.
func TestNew_Scored(t *testing.T) {
	in := sample()
	score := 9.8
	in.Priority["14"] = severity.Judge(clair.Unknown, true, severity.Evidence{CVSS: &score, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"})
	r := render.New(in, render.Filter{MinSeverity: clair.High})
	at := slices.IndexFunc(r.Findings, func(f render.Finding) bool { return f.Vulnerability.ID == "14" })
	require.GreaterOrEqual(t, at, 0, "the filter uses the score")
	v := r.Findings[at].Vulnerability
	require.Equal(t, clair.Critical, v.Severity)
	require.True(t, v.Scored)
	require.Equal(t, r.Counts, countCycloneDX(t, write(t, "cyclonedx", r)), "the severity is the score's rating")
	require.Equal(t, r.Counts, countSARIF(t, write(t, "sarif", r)))
	in.Gates = gates("cvss=9.8")
	require.Len(t, render.New(in, render.Filter{}).Failed, 2, "the finding, and the place without a feed")
}

// TestNew_OneFinding has two advisories of one CVE for one package.
func TestNew_OneFinding(t *testing.T) {
	in := sample()
	in.Why["3"] = map[string]render.Why{"13": {Rule: "language", Affected: "before 7.23.2"}, "17": {Rule: "language", Affected: "before 7.23.1"}}
	var got []render.Finding
	for _, f := range render.New(in, render.Filter{}).Findings {
		if f.Package.ID == "3" {
			got = append(got, f)
		}
	}
	require.Len(t, got, 1)
	v := got[0].Vulnerability
	require.Equal(t, []string{"GHSA-67hx-6x53-jw92", "PYSEC-2099-7"}, v.Names)
	require.Equal(t, []string{"CVE-2023-45133"}, v.Aliases)
	require.Equal(t, "7.23.2", v.Fixed, "what fixes both")
	require.Equal(t, clair.Critical, v.Severity, "the more severe")
	require.Len(t, v.Links, 3)
	require.Equal(t, []render.Source{
		{Advisory: "GHSA-67hx-6x53-jw92", Feed: "osv/npm", Why: in.Why["3"]["13"]},
		{Advisory: "PYSEC-2099-7", Feed: "osv/npm", Why: in.Why["3"]["17"]},
	}, got[0].Sources)
}

func TestNew_Filter(t *testing.T) {
	in := sample()
	before, err := json.Marshal(in.Report)
	require.NoError(t, err)
	r := render.New(in, render.Filter{MinSeverity: clair.Medium, OnlyFixed: true})
	require.Equal(t, [6]int{0, 0, 0, 2, 0, 2}, r.Counts)
	require.Equal(t, 4, r.Hidden)
	require.Equal(t, map[string][]string{"1": {"10"}, "2": {"12"}, "3": {"13", "17"}, "5": {"10"}}, r.Data.PackageVulnerabilities)
	require.Len(t, r.Data.Vulnerabilities, 4)
	require.Len(t, r.Data.Packages, 6)
	require.JSONEq(t, `{"10":[{"cve":"CVE-2024-0727","epss":0.00238,"percentile":0.46}],"12":[{"cve":"CVE-2021-44228","epss":0.94358,"percentile":0.9996}]}`,
		string(r.Data.Enrichments[1].Messages[0]))
	after, err := json.Marshal(in.Report)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after), "the input is not changed")
}

func TestNew_Priority(t *testing.T) {
	in := sample()
	in.Priority = map[string]severity.Priority{"11": {Level: severity.LevelUrgent, Evidence: severity.Evidence{KEV: true, Vector: esc}}}
	r := render.New(in, render.Filter{})
	top := r.Findings[0].Vulnerability
	require.Equal(t, "CVE-2023-5678", top.Name, "the caller's judgement counts")
	require.Equal(t, "\ufffd[31m", top.Priority.Vector)
	require.Equal(t, severity.Judge(clair.Critical, true, severity.Evidence{}), r.Findings[1].Vulnerability.Priority, "without one it is judged by its severity")
}

func TestNew_PURL(t *testing.T) {
	var got []string
	for _, p := range render.New(sample(), render.Filter{}).Packages {
		got = append(got, p.PURL)
	}
	require.Equal(t, []string{
		"pkg:npm/%40babel/traverse@7.23.0",
		"pkg:deb/debian/evil%1B%5B31m%C2%9B31m%0D%0Aok%E2%80%AE@%3D1%2B1?distro=debian-12",
		"pkg:golang/golang.org/x/net@v0.17.0",
		"pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl",
		"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
		"pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all&distro=debian-12",
	}, got)
}

// TestNew_PURL_Read parses the package URLs.
func TestNew_PURL_Read(t *testing.T) {
	packages := map[string]*clair.Package{
		"1": {Name: "bind", Version: "32:9.16.23-1.el9", Arch: "x86_64", Module: "bind:9.16:1"},
		"2": {Version: "1"}, // no name, no package URL
		"3": {Name: "libc6", Version: "2.36-9+deb12u4", Source: &clair.Package{Name: "glibc", Version: "2.36-9"}},
		"4": {Name: "github.com/BurntSushi/toml", Version: "v1.4.0+incompatible"},
		"5": {Name: "libcrypto3", Version: "3.1.4-r5", Source: &clair.Package{Name: "openssl", Version: "3.1.4-r5"}},
		"6": {Name: "unknown", Version: "1"},
	}
	dists := map[string]*clair.Distribution{
		"1": {DID: "rhel", VersionID: "9.2"}, "3": {DID: "debian", VersionID: "12"}, "4": {DID: "debian", VersionID: "12"},
		"5": {DID: "alpine", VersionID: "3.19.1"}, "6": {DID: "haiku", VersionID: "1"},
	}
	in := render.Input{Report: &clair.VulnerabilityReport{Packages: packages, Distributions: dists, Environments: map[string][]clair.Environment{},
		Repositories: map[string]*clair.Repository{"1": {Name: "go"}}}}
	for id := range packages {
		in.Report.Environments[id] = []clair.Environment{{DistributionID: id}}
	}
	in.Report.Environments["4"][0].RepositoryIDs = []string{"1"}
	want := map[string]string{
		"1": "pkg:rpm/redhat/bind@9.16.23-1.el9?arch=x86_64&distro=rhel-9.2&epoch=32&rpmmod=bind:9.16:1", "2": "", "6": "",
		"3": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?distro=debian-12&upstream=glibc%402.36-9",
		"4": "pkg:golang/github.com/BurntSushi/toml@v1.4.0%2Bincompatible",
		"5": "pkg:apk/alpine/libcrypto3@3.1.4-r5?distro=alpine-3.19.1&upstream=openssl",
	}
	got := map[string]string{}
	for _, p := range render.New(in, render.Filter{}).Packages {
		got[p.ID] = p.PURL
		if p.PURL == "" {
			continue
		}
		u, err := purl.Parse(p.PURL)
		require.NoError(t, err)
		if p.ID == "4" {
			require.Equal(t, []string{p.Name, p.Version}, []string{u.Namespace + "/" + u.Name, u.Version})
			continue
		}
		require.Equal(t, p.Name, u.Name)
		release, ok := distro.ReleaseByPURL(u.Namespace, u.Qualifiers.Get("distro"))
		require.True(t, ok)
		whole, _ := distro.ReleaseOf(dists[p.ID])
		require.Equal(t, whole.Platform, release.Platform)
	}
	require.Equal(t, want, got)
}

func TestFormatByName(t *testing.T) {
	for _, f := range render.Formats() {
		got, err := render.FormatByName(f.Name)
		require.NoError(t, err)
		require.Equal(t, f.MediaType, got.MediaType)
	}
	_, err := render.FormatByName("pdf")
	require.EqualError(t, err, `format: "pdf" is not one of table, json, sarif, cyclonedx, csv, html`)
}
