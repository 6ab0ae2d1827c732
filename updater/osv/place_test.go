package osv

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
	"oriel/internal/feed/feedtest"
)

func TestPlaceOfRelease(t *testing.T) {
	for ecosystem, want := range map[string]string{
		"Debian:12": "debian:12 dpkg source", "Ubuntu:Pro:18.04:LTS": "ubuntu:18.04 dpkg source", "Alpine:v3.18": "alpine:3.18 apk source",
		"AlmaLinux:9": "almalinux:9 rpm binary", "Rocky Linux:9": "rocky:9 rpm source", "openSUSE:Leap 15.5": "opensuse-leap:15.5 rpm source",
		"SUSE:Linux Enterprise Module for Basesystem 15 SP5": "sles:15.5 rpm source", "Mageia:9": "mageia:9 rpm source",
		"openEuler:22.03-LTS": "openeuler:22.03-LTS rpm source", "Azure Linux:3": "azurelinux:3 rpm source",
		"Wolfi": "wolfi apk binary", "Chainguard": "chainguard apk binary",
		"Ubuntu:Pro:FIPS:18.04:LTS": "", "Go": "", "": "", "Red Hat:": "", "Red Hat:quarkus:3": "", "SUSE:Manager Server 4.3": "",
	} {
		at, ok := placeOfRelease(ecosystem)
		require.Equal(t, want != "", ok, ecosystem)
		if ok {
			r, ok := distro.ReleaseOf(at.dist)
			require.True(t, ok)
			require.Equal(t, want, r.Platform+" "+at.scheme+" "+at.kind)
			require.Nil(t, at.repo)
		}
	}
}

func TestPlaceOfRelease_RedHat(t *testing.T) {
	for ecosystem, want := range map[string][2]string{
		"Red Hat:enterprise_linux:9::baseos":    {"cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*", "rhel:9"},
		"Red Hat:enterprise_linux:9::appstream": {"cpe:2.3:a:redhat:enterprise_linux:9:*:appstream:*:*:*:*:*", "rhel:9"},
		"Red Hat:rhel_aus:8.2::baseos":          {"cpe:2.3:o:redhat:rhel_aus:8.2:*:baseos:*:*:*:*:*", "rhel:8"},
		"Red Hat:enterprise_linux:7::server":    {"cpe:2.3:o:redhat:enterprise_linux:7:*:server:*:*:*:*:*", "rhel:7"},
		"Red Hat:enterprise_linux:10.1":         {"cpe:2.3:o:redhat:enterprise_linux:10.1:*:*:*:*:*:*:*", "rhel:10"},
		"Red Hat:enterprise_linux_eus:10.0":     {"cpe:2.3:o:redhat:enterprise_linux_eus:10.0:*:*:*:*:*:*:*", "rhel:10"},
		"Red Hat:rhel_extras_rt:7":              {"cpe:2.3:a:redhat:rhel_extras_rt:7:*:*:*:*:*:*:*", "rhel:7"},
		"Red Hat:enterprise_linux:9::nfv":       {"cpe:2.3:a:redhat:enterprise_linux:9:*:nfv:*:*:*:*:*", "rhel:9"},
		"Red Hat:openshift:4.13::el9":           {"cpe:2.3:a:redhat:openshift:4.13:*:el9:*:*:*:*:*", "rhel:9"},
	} {
		at, ok := placeOfRelease(ecosystem)
		require.True(t, ok, ecosystem)
		require.Equal(t, &clair.Repository{Key: "rhel-cpe-repository", Name: want[0], CPE: want[0]}, at.repo)
		r, _ := distro.ReleaseOf(at.dist)
		require.Equal(t, want[1], r.Platform)
		require.Equal(t, clair.Binary, at.kind)
	}
}

func TestNameOfRecord(t *testing.T) {
	for _, c := range []struct {
		id      string
		lists   [][]string
		name    string
		aliases []string
	}{
		{"UBUNTU-CVE-2022-3602", [][]string{nil, {"CVE-2022-3602"}, {"USN-5710-1"}}, "CVE-2022-3602", []string{"UBUNTU-CVE-2022-3602"}},
		{"USN-5614-1", [][]string{{"UBUNTU-CVE-2021-3782"}}, "USN-5614-1", []string{"CVE-2021-3782"}},
		{"ALSA-2022:4587", [][]string{nil, {"CVE-2022-1271", "CVE-2018-25032"}}, "ALSA-2022:4587", []string{"CVE-2018-25032", "CVE-2022-1271"}},
		{"CVE-2024-3094", nil, "CVE-2024-3094", nil},
		{"CGA-2222-3333-4444", [][]string{{"CVE-2024-0001", "GHSA-aaaa-bbbb-cccc"}}, "CGA-2222-3333-4444", []string{"CVE-2024-0001"}},
	} {
		name, aliases := nameOfRecord(c.id, c.lists...)
		require.Equal(t, c.name, name)
		require.Equal(t, c.aliases, aliases)
	}
}

func TestSummaryOf(t *testing.T) {
	for summary, want := range map[string][2]string{
		"Important: pcs security update":                               {"Important", ""},
		"Moderate: ruby:3.3 security, bug fix, and enhancement update": {"Moderate", "ruby:3.3"},
		"java-11-openjdk bug fix and enhancement update":               {"", ""},
		"Important: ": {"Important", ""}, "": {"", ""}, "None: nothing": {"", ""},
	} {
		severity, module := summaryOf(summary)
		require.Equal(t, want, [2]string{severity, module}, summary)
	}
}

// TestCorpus_OSVDistributions has the OSV feeds of distributions.
func TestCorpus_OSVDistributions(t *testing.T) {
	for _, c := range []struct {
		file string
		// rows is the number of affected entries of releases that there are
		// in records that are not withdrawn, counted by other means.
		rows int
		has  string
	}{
		{"feeds/osv/AlmaLinux-9/all.zip", 14809, "almalinux:9 ALSA-2022:4587 binary:pcs <0.11.1-10.el9 High [CVE-2022-29970]"},
		{"feeds-next/osv/AlmaLinux-9/all.zip", 24012, "almalinux:9 ALSA-2022:4587 binary:pcs <0.11.1-10.el9 High"},
		{"feeds/osv/RockyLinux/all.zip", 5, "rocky:9 RLSA-2024:3671 source:ruby <0:3.3.1-2.module+el9.4.0+20787+4c237fd3 module ruby:3.3 Medium"},
		{"feeds/ubuntu/osv-all.tar.bz2", 33280, "ubuntu:18.04 CVE-2019-10163 source:pdns Medium [UBUNTU-CVE-2019-10163]"},
		{"feeds/osv/Ubuntu-current-sample/all.zip", 48, "ubuntu:16.04 CVE-2014-9913 source:unzip <6.0-20ubuntu1.1 Negligible [UBUNTU-CVE-2014-9913]"},
	} {
		t.Run(c.file, func(t *testing.T) {
			u := newOSV(t, filepath.Join(corpus.Dir(t), "corpus", c.file), nil)
			r, _, err := u.Fetch(context.Background(), "")
			require.NoError(t, err)
			found, skipped, err := feedtest.Collect(u.Parse(context.Background(), r))
			require.NoError(t, err)
			require.NoError(t, r.Close())
			t.Logf("%d rows, %d skipped", len(found), len(skipped))
			require.Empty(t, skipped)
			require.Equal(t, c.rows, len(found))
			require.True(t, slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, c.has) }), "%s\n%q", c.has, found[:min(5, len(found))])
		})
	}
}
