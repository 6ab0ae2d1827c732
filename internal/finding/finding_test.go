package finding_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/finding"
)

func row(name string, s clair.Severity, aliases ...string) *clair.Vulnerability {
	return &clair.Vulnerability{Name: name, NormalizedSeverity: s, Aliases: aliases}
}

func TestGroup(t *testing.T) {
	for _, c := range []struct {
		name string
		rows []*clair.Vulnerability
		want string
	}{
		{"none", nil, ""},
		{"one_name_twice", []*clair.Vulnerability{row("CVE-2020-27618", 2), row("CVE-2020-27618", 3)}, "CVE-2020-27618 CVE-2020-27618"},
		{"two_vulnerabilities", []*clair.Vulnerability{row("CVE-2020-1000", 2), row("CVE-2020-1001", 3)}, "CVE-2020-1000|CVE-2020-1001"},
		{
			"pysec_and_ghsa_of_one_cve",
			[]*clair.Vulnerability{row("PYSEC-2022-19", 0, "CVE-2022-22818", "GHSA-95rw-fx8r-36v6"), row("GHSA-95rw-fx8r-36v6", 3, "CVE-2022-22818")},
			"GHSA-95rw-fx8r-36v6 PYSEC-2022-19",
		},
		{"cve_and_advisory_of_it", []*clair.Vulnerability{row("ALSA-2021:1", 3, "CVE-2021-1000"), row("CVE-2021-1000", 2)}, "ALSA-2021:1 CVE-2021-1000"},
		{
			"advisory_of_two_cves_is_neither",
			[]*clair.Vulnerability{row("ALSA-2021:1", 3, "CVE-2021-1000", "CVE-2021-1001"), row("CVE-2021-1000", 2), row("CVE-2021-1001", 2)},
			"ALSA-2021:1|CVE-2021-1000|CVE-2021-1001",
		},
		{
			"cves_of_one_advisory",
			[]*clair.Vulnerability{row("CVE-2021-1000", 2, "RHSA-2021:1"), row("CVE-2021-1001", 2, "RHSA-2021:1"), row("RHSA-2021:1", 0)},
			"CVE-2021-1000 RHSA-2021:1|CVE-2021-1001",
		},
		{
			"aliases_without_a_cve",
			[]*clair.Vulnerability{row("RUSTSEC-2020-0001", 2, "GHSA-aaaa-bbbb-cccc"), row("GHSA-aaaa-bbbb-cccc", 2), row("RUSTSEC-2020-0002", 2)},
			"GHSA-aaaa-bbbb-cccc RUSTSEC-2020-0001|RUSTSEC-2020-0002",
		},
		{
			"common_alias_is_not_enough_without_a_cve",
			[]*clair.Vulnerability{row("RUSTSEC-2020-0001", 2, "X-1"), row("RUSTSEC-2020-0002", 2, "X-1")},
			"RUSTSEC-2020-0001|RUSTSEC-2020-0002",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.rows)
			require.Equal(t, c.want, text(finding.Group(c.rows)))
			require.Equal(t, before, c.rows, "the list is not changed")
			slices.Reverse(c.rows)
			require.Equal(t, c.want, text(finding.Group(c.rows)), "the order of rows does not count")
		})
	}
}

func text(groups [][]*clair.Vulnerability) string {
	var out []string
	for _, g := range groups {
		var names []string
		for _, v := range g {
			names = append(names, v.Name)
		}
		out = append(out, strings.Join(names, " "))
	}
	return strings.Join(out, "|")
}

func TestFix(t *testing.T) {
	npm, rhel := &clair.Repository{Name: "npm"}, &clair.Repository{Name: "cpe:/o:redhat:enterprise_linux:9", Key: "rhel-cpe-repository"}
	debian := &clair.Distribution{DID: "debian", VersionID: "12", Name: "Debian GNU/Linux"}
	for _, c := range []struct {
		name  string
		dist  *clair.Distribution
		repo  *clair.Repository
		fixes []string
		want  string
	}{
		{"none", debian, nil, []string{"", ""}, ""},
		{"greatest", debian, nil, []string{"1.9-1", "1.10-1", "1.2-1"}, "1.10-1"},
		{"known_one", debian, nil, []string{"", "1.10-1", ""}, "1.10-1"},
		{"language", nil, npm, []string{"fixed=4.17.19", "fixed=4.17.5&introduced=1", ""}, "4.17.19"},
		{"red_hat", nil, rhel, []string{"0:1.2-3.el9_2", "0:1.2-10.el9"}, "0:1.2-10.el9"},
		{"not_comparable", nil, npm, []string{"fixed=1.0.0", "fixed=next"}, "1.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rows []*clair.Vulnerability
			for _, f := range c.fixes {
				rows = append(rows, &clair.Vulnerability{Dist: c.dist, Repo: c.repo, FixedInVersion: f})
			}
			require.Equal(t, c.want, finding.Fix(rows))
		})
	}
}

// BenchmarkGroup groups the vulnerabilities of a kernel.
func BenchmarkGroup(b *testing.B) {
	var rows []*clair.Vulnerability
	for i := range 3000 {
		rows = append(rows, row(fmt.Sprintf("CVE-2024-%d", 10000+i), clair.Severity(i%6), fmt.Sprintf("DSA-%d", i/40)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(finding.Group(rows)); n != len(rows) {
			b.Fatal(n)
		}
	}
}
