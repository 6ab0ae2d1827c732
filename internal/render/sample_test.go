package render_test

import (
	"encoding/json"
	"fmt"
	"time"

	"oriel/clair"
	"oriel/internal/render"
	"oriel/internal/severity"
)

const digest = clair.Digest("sha256:2f1a4c4c8b0f5a3d6e7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b")

// esc and csi begin escape sequences of terminals, in seven and in eight bits.
const (
	esc    = "\x1b[31m"
	csi    = "\u009b31m"
	script = `<script>alert("x")</script>`
)

// sample is a report of an image with an example of everything, including
// hostile texts.
func sample() render.Input {
	layer := clair.Digest("sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4")
	env := func(db, dist string, repos ...string) []clair.Environment {
		return []clair.Environment{{PackageDB: db, IntroducedIn: layer, DistributionID: dist, RepositoryIDs: repos}}
	}
	day := time.Date(2024, 3, 29, 0, 0, 0, 0, time.UTC)
	vuln := func(name, updater, fixed string, s clair.Severity) *clair.Vulnerability {
		return &clair.Vulnerability{
			Name: name, Updater: updater, FixedInVersion: fixed, NormalizedSeverity: s, Issued: day,
			Description: "What " + name + " is about.", Links: "https://example.com/" + name + " https://example.org/more",
		}
	}
	r := &clair.VulnerabilityReport{
		Hash: digest,
		Packages: map[string]*clair.Package{
			"1": {ID: "1", Name: "libssl3", Version: "0:3.0.11-1~deb12u1", Kind: clair.Binary, Arch: "amd64",
				Source: &clair.Package{ID: "9", Name: "openssl", Version: "3.0.11-1~deb12u1", Kind: clair.Source}},
			"2": {ID: "2", Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1"},
			"3": {ID: "3", Name: "@babel/traverse", Version: "7.23.0"},
			"4": {ID: "4", Name: "golang.org/x/net", Version: "v0.17.0"},
			"5": {ID: "5", Name: "evil" + esc + csi + "\r\nOK\u202e", Version: "=1+1"},
			"6": {ID: "6", Name: "tzdata", Version: "2024a-0+deb12u1", Arch: "all"},
		},
		Distributions: map[string]*clair.Distribution{"1": {ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", PrettyName: "Debian GNU/Linux 12 (bookworm)"}},
		Repositories: map[string]*clair.Repository{
			"1": {ID: "1", Name: "maven", URI: "https://repo1.maven.apache.org/maven2"}, "2": {ID: "2", Name: "npm"}, "3": {ID: "3", Name: "go"},
		},
		Environments: map[string][]clair.Environment{
			"1": env("var/lib/dpkg/status", "1"), "2": env("maven:app/lib/log4j-core-2.14.1.jar", "", "1"), "3": env("app/node_modules/@babel/traverse/package.json", "", "2"),
			"4": env("go:usr/bin/server", "1", "3"), "5": env("var/lib/dpkg/status", "1"), "6": env("var/lib/dpkg/status", "1"),
		},
		Vulnerabilities: map[string]*clair.Vulnerability{
			"10": vuln("CVE-2024-0727", "debian/bookworm", "0:3.0.13-1~deb12u1", clair.Medium),
			"11": vuln("CVE-2023-5678", "debian/bookworm", "0", clair.Negligible),
			"12": vuln("GHSA-jfh8-c2jp-5v3q", "osv/Maven", "fixed=2.15.0&introduced=2.13.0", clair.Critical),
			"13": vuln("GHSA-67hx-6x53-jw92", "osv/npm", "7.23.2", clair.Critical),
			"14": vuln("GO-2024-2687", "osv/Go", "0.23.0", clair.Unknown),
			"15": vuln("CVE-2099-0001", "debian/bookworm", "", clair.High),
			"17": vuln("PYSEC-2099-7", "osv/npm", "fixed=7.23.1", clair.Unknown),
			"16": vuln("CVE-2099-0002", "debian/bookworm", "2", clair.Low),
		},
		PackageVulnerabilities: map[string][]string{"1": {"10", "11"}, "2": {"12"}, "3": {"17", "13"}, "4": {"14"}, "5": {"10", "15", "16", "404"}},
		Enrichments: clair.Enrichments{
			{Type: clair.TypeCVSS, Messages: []json.RawMessage{json.RawMessage(
				`{"10":[{"version":"3.1","vectorString":"CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H","baseScore":5.5}],"12":[{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H","baseScore":10.0}],"13":[{"baseScore":9.3,"vectorString":"CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}]}`)}},
			{Type: clair.TypeEPSS, Messages: []json.RawMessage{json.RawMessage(
				`{"10":[{"cve":"CVE-2024-0727","epss":0.00238,"percentile":0.46}],"12":[{"cve":"CVE-2021-44228","epss":0.94358,"percentile":0.9996}],"14":[{"epss":0.66,"percentile":0.98}]}`)}},
			{Type: clair.TypeKEV, Messages: []json.RawMessage{json.RawMessage(
				`{"12":[{"cve":"CVE-2021-44228","known_ransomware_campaign_use":"Known"}]}`)}},
		},
	}
	for id, v := range r.Vulnerabilities {
		v.ID = id
	}
	r.Vulnerabilities["12"].Repo = r.Repositories["1"]
	r.Vulnerabilities["17"].Repo = r.Repositories["2"]
	r.Vulnerabilities["13"].Aliases = []string{"CVE-2023-45133"}
	r.Vulnerabilities["17"].Aliases = []string{"CVE-2023-45133", "GHSA-67hx-6x53-jw92"}
	r.Vulnerabilities["12"].Aliases = []string{"CVE-2021-44228"}
	r.Vulnerabilities["15"].Description = script + "\nsecond line" + esc
	r.Vulnerabilities["15"].Links = `javascript:alert(1) https://example.com/"onmouseover="x ftp://example.com/x`
	r.Vulnerabilities["16"].Description = "=HYPERLINK(\"http://example.com\")"
	return render.Input{
		Name: "registry.example.com/shop:1.2", Tool: "v0.1.0", Report: r, Priority: judged(r),
		Why: map[string]map[string]render.Why{
			"1": {"10": {Rule: "debian", Matched: "openssl", Kind: "source", Affected: "before 3.0.13-1~deb12u1"}},
			"2": {"12": {Rule: "maven", Matched: "org.apache.logging.log4j:log4j-core", Kind: "binary", Affected: "from 2.13.0 before 2.15.0"}},
		},
		Unmatched: []clair.Unmatched{{Package: "custom-tool" + esc, Version: "1.0", Reason: "no package URL and no distribution"}},
		Coverage: &clair.Coverage{Places: []clair.Place{
			{Name: "debian:12", Packages: 3, Reason: clair.NoFeed, Hint: "Enable debian" + esc + "."},
			{Name: "go", Packages: 1, Covered: true, Feeds: []string{"osv/Go"}},
			{Name: "maven", Packages: 1, Covered: true, Feeds: []string{"osv/Maven"}, Ended: "2025-12-31"},
			{Name: "npm", Packages: 1, Covered: true, Feeds: []string{"osv/npm"}, MatchedAs: "npm:old"},
		}},
		NeverFetched: []string{"epss"}, Gates: gates("critical,epss=0.9"),
		Incomparable: []render.Incomparable{{
			Package: "vendor/package" + csi, Version: "dev-master", Advisories: []string{"GHSA-1", "GHSA-2"}, Reason: `"dev-master" is not a packagist version`,
		}},
		Partial:  []string{"osv/PyPI"},
		DataTime: time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC), Now: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), MaxAge: 48 * time.Hour,
	}
}

// judged returns the priorities that follow from a report's enrichments.
func judged(r *clair.VulnerabilityReport) map[string]severity.Priority {
	evidence := map[string]severity.Evidence{}
	for _, e := range r.Enrichments {
		read, err := severity.ReadEvidence(e.Type, e.Messages)
		if err != nil {
			panic(err)
		}
		for id, one := range read {
			evidence[id] = evidence[id].Merge(one)
		}
	}
	return severity.JudgeAll(r.Vulnerabilities, evidence)
}

// gates returns the gates of --fail-on.
func gates(list string, allow ...string) render.Gates {
	g, err := render.ParseGates(list, allow)
	if err != nil {
		panic(err)
	}
	return g
}

// large is a report of n findings, three for each package.
func large(n int) render.Input {
	r := &clair.VulnerabilityReport{
		Hash: digest, Packages: map[string]*clair.Package{}, Vulnerabilities: map[string]*clair.Vulnerability{},
		PackageVulnerabilities: map[string][]string{},
	}
	for i := range n {
		pkg, id := fmt.Sprint(i/3), fmt.Sprint(i)
		r.Packages[pkg] = &clair.Package{ID: pkg, Name: "package-" + pkg, Version: "1." + pkg}
		r.Vulnerabilities[id] = &clair.Vulnerability{
			ID: id, Name: "CVE-2099-" + id, Updater: "debian", FixedInVersion: "2", NormalizedSeverity: clair.Severity(i % 6),
			Description: fmt.Sprintf("Number %d: %0500d", i, i), Links: "https://example.com/" + id,
		}
		r.PackageVulnerabilities[pkg] = append(r.PackageVulnerabilities[pkg], id)
	}
	return render.Input{Name: "large", Report: r, Now: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)}
}
