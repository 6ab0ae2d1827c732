package distro_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
)

// TestReleaseByName has the forms in which feeds, package URLs and scanners
// name releases.
func TestReleaseByName(t *testing.T) {
	for name, want := range map[string]string{
		// Scanners' platforms lead to themselves.
		"debian:12": "debian:12", "ubuntu:22.04": "ubuntu:22.04", "alpine:3.18": "alpine:3.18", "rhel:9": "rhel:9",
		"almalinux:9": "almalinux:9", "rocky:9": "rocky:9", "opensuse-leap:15.5": "opensuse-leap:15.5", "sles:15.5": "sles:15.5",
		"amzn:2023": "amzn:2023", "ol:9": "ol:9", "photon:5": "photon:5", "wolfi": "wolfi", "chainguard": "chainguard",
		"debian:unstable": "debian:unstable", "alpine:edge": "alpine:edge", "opensuse-tumbleweed": "opensuse-tumbleweed",
		"sle-micro:5.5": "sle-micro:5.5", "sl-micro:6.0": "sl-micro:6.0", "sles_sap:15.5": "sles_sap:15.5", "amzn:2018.03": "amzn:2018.03",
		"openeuler:22.03-LTS-SP2": "openeuler:22.03-LTS-SP2", "azurelinux:3": "azurelinux:3", "mariner:2": "mariner:2",

		// Ecosystems of OSV.
		"Debian:12": "debian:12", "Debian:3.1": "debian:3.1", "AlmaLinux:9": "almalinux:9", "Alpine:v3.18": "alpine:3.18",
		"Ubuntu:22.04:LTS": "ubuntu:22.04", "Ubuntu:Pro:18.04:LTS": "ubuntu:18.04", "Ubuntu:23.10": "ubuntu:23.10",
		"Rocky Linux:9": "rocky:9", "SUSE:Linux Enterprise Server 15 SP5": "sles:15.5", "SUSE:Linux Enterprise Server 15 SP1-LTSS": "sles:15.1",
		"SUSE:Linux Enterprise Server LTSS 12 SP5":                     "sles:12.5",
		"SUSE:Linux Enterprise Module for Basesystem 15 SP5":           "sles:15.5",
		"SUSE:Linux Enterprise Module for Python 3 15 SP6":             "sles:15.6",
		"SUSE:Linux Enterprise Server for SAP Applications 15 SP3":     "sles_sap:15.3",
		"SUSE:Linux Enterprise High Performance Computing 15 SP4-LTSS": "sle_hpc:15.4",
		"SUSE:Linux Enterprise Micro 5.5":                              "sle-micro:5.5",
		"SUSE:Linux Enterprise Micro for Rancher 5.4":                  "sle-micro:5.4",
		"SUSE:Linux Micro 6.0":                                         "sl-micro:6.0",
		"openSUSE:Leap 15.5":                                           "opensuse-leap:15.5", "openSUSE:Tumbleweed": "opensuse-tumbleweed",
		"Red Hat:enterprise_linux:9::baseos": "rhel:9", "Red Hat:rhel_eus:9.2::appstream": "rhel:9", "Mageia:9": "mageia:9",
		"Wolfi": "wolfi", "Chainguard": "chainguard", "openEuler:22.03-LTS": "openeuler:22.03-LTS", "openEuler:20.03-LTS-SP4": "openeuler:20.03-LTS-SP4",
		"Photon OS:5.0": "photon:5", "Azure Linux:3": "azurelinux:3", "Azure Linux:2": "mariner:2",
		"MinimOS": "minimos", "Alpaquita:23": "alpaquita:23", "Alpaquita:stream": "alpaquita:stream",

		// The distro of package URLs.
		"debian-12": "debian:12", "debian-10.2": "debian:10", "ubuntu-22.04": "ubuntu:22.04", "alpine-3.18.4": "alpine:3.18", "rhel-9.2": "rhel:9",
		"opensuse-leap-15.5": "opensuse-leap:15.5", "amzn-2023": "amzn:2023", "centos-7.6.1810": "centos:7", "fedora-44": "fedora:44",
		"rocky-linux-8-4-legacy": "rocky:8", "opensuse-tumbleweed-20240401": "opensuse-tumbleweed", "sles-15.5": "sles:15.5",

		// Feeds' own words.
		"suse.linux.enterprise.server.15": "sles:15", "opensuse.leap.15.5": "opensuse-leap:15.5", "bookworm": "debian:12", "sid": "debian:unstable", "trixie": "debian:13", "jammy": "ubuntu:22.04", "Oracle Linux 7": "ol:7", "Photon 3": "photon:3",
		"SUSE Linux Enterprise Server 15": "sles:15", "SUSE Linux Enterprise Server 12 SP5": "sles:12.5", "CBL-Mariner 1.0": "mariner:1",
		"Amazon Linux 2": "amzn:2", "Amazon Linux AMI 2017.09": "amzn:2018.03", "Amazon Linux AMI": "amzn:2018.03", "Red Hat Enterprise Linux 8": "rhel:8", "openSUSE Leap 42.3": "opensuse-leap:42.3",
		"SUSE Linux Enterprise Server 16.0": "sles:16.0",

		// Releases to come are made by rule.
		"debian:16": "debian:16", "Ubuntu:28.04:LTS": "ubuntu:28.04", "alpine:3.40": "alpine:3.40", "rhel:12": "rhel:12",

		// Derivatives.
		"linuxmint:21.3": "linuxmint:21", "linuxmint-22": "linuxmint:22", "pop-22.04": "pop:22.04",
		"elementary:7.1": "elementary:7", "zorin:17": "zorin:17", "neon:24.04": "neon:24.04", "rhcos:4.13": "rhcos:4.13",

		// Other streams of the same package names are not the plain release.
		"Ubuntu:Pro:FIPS:18.04:LTS": "", "Ubuntu:Pro:FIPS-updates:20.04:LTS": "", "Ubuntu:Pro:Realtime:22.04:LTS": "",
		"Ubuntu:Pro:22.04:LTS:Realtime:Kernel":  "",
		"Ubuntu:22.04:LTS:for:NVIDIA:BlueField": "",

		// Nobody's.
		"": "", "Go": "", "PyPI": "", "debian": "", "Debian:": "", "ubuntu": "", "SUSE:Manager Server 4.3": "", "Red Hat:openshift:4.13": "",
		"slackware:15": "", "debianish:12": "", "alpine:3": "", "olive:9": "",
	} {
		t.Run(name, func(t *testing.T) {
			r, ok := distro.ReleaseByName(name)
			require.Equal(t, want, r.Platform)
			require.Equal(t, want != "", ok)
			if !ok {
				return
			}
			again, ok := distro.ReleaseByName(r.Platform)
			require.True(t, ok)
			require.Equal(t, r, again, "the platform names the release")
			rows, ok := distro.ReleaseOf(r.Distribution())
			require.True(t, ok)
			require.Equal(t, r, rows, "the distribution of its rows is of the release")
		})
	}
}

// TestReleaseOf has the os-release files of real systems.
func TestReleaseOf(t *testing.T) {
	for want, systems := range map[string][]clair.Distribution{
		"alpine:3.7":              {{DID: "alpine", Name: "Alpine Linux", VersionID: "3.7", PrettyName: "Alpine Linux v3.7"}},
		"alpine:3.18":             {{DID: "alpine", Name: "Alpine Linux", VersionID: "3.18.4", PrettyName: "Alpine Linux v3.18"}, {DID: "alpine", PrettyName: "Alpine Linux v3.18"}},
		"alpine:edge":             {{DID: "alpine", Name: "Alpine Linux", VersionID: "3.19_alpha20230901", PrettyName: "Alpine Linux edge"}},
		"debian:10":               {{DID: "debian", Name: "Debian GNU/Linux", Version: "10 (buster)", VersionCodeName: "buster", VersionID: "10", PrettyName: "Debian GNU/Linux 10 (buster)"}},
		"debian:unstable":         {{DID: "debian", Name: "Debian GNU/Linux", VersionCodeName: "trixie", PrettyName: "Debian GNU/Linux trixie/sid"}},
		"debian:13":               {{DID: "debian", Name: "Debian GNU/Linux", VersionCodeName: "trixie", PrettyName: "Debian GNU/Linux trixie"}},
		"ubuntu:18.04":            {{DID: "ubuntu", Name: "Ubuntu", Version: "18.04.3 LTS (Bionic Beaver)", VersionCodeName: "bionic", VersionID: "18.04", PrettyName: "Ubuntu 18.04.3 LTS"}},
		"ubuntu:26.04":            {{DID: "ubuntu", Name: "Ubuntu", VersionID: "26.04", PrettyName: "Ubuntu 26.04 LTS"}},
		"rhel:8":                  {{DID: "rhel", Name: "Red Hat Enterprise Linux Server", Version: "8", VersionID: "8"}, {DID: "rhel", Name: "Red Hat Enterprise Linux", Version: "8.9 (Ootpa)", VersionID: "8.9"}},
		"centos:7":                {{DID: "centos", Name: "CentOS Linux", Version: "7 (Core)", VersionID: "7", PrettyName: "CentOS Linux 7 (Core)"}},
		"centos:9":                {{DID: "centos", Name: "CentOS Stream", Version: "9", VersionID: "9", PrettyName: "CentOS Stream 9"}},
		"almalinux:9":             {{DID: "almalinux", Name: "AlmaLinux", Version: "9.3 (Shamrock Pampas Cat)", VersionID: "9.3"}},
		"rocky:8":                 {{DID: "rocky", Name: "Rocky Linux", Version: "8.9 (Green Obsidian)", VersionID: "8.9"}},
		"ol:9":                    {{DID: "ol", Name: "Oracle Linux Server", Version: "9.3", VersionID: "9.3", PrettyName: "Oracle Linux Server 9.3"}},
		"amzn:2018.03":            {{DID: "amzn", Name: "Amazon Linux AMI", Version: "2018.03", VersionID: "2018.03"}, {DID: "amzn", Name: "Amazon Linux AMI", Version: "2017.03", VersionID: "2017.03"}},
		"amzn:2":                  {{DID: "amzn", Name: "Amazon Linux", Version: "2", VersionID: "2", PrettyName: "Amazon Linux 2"}, {Name: "Amazon Linux", Version: "2 (Karoo)"}},
		"amzn:2022":               {{DID: "amzn", Name: "Amazon Linux", Version: "2022", VersionID: "2022"}},
		"amzn:2023":               {{DID: "amzn", Name: "Amazon Linux", Version: "2023", VersionID: "2023"}, {DID: "amzn", VersionID: "2023.3.20240312"}},
		"sles:15.5":               {{DID: "sles", Name: "SLES", Version: "15-SP5", VersionID: "15.5", PrettyName: "SUSE Linux Enterprise Server 15 SP5"}, {DID: "sles", Version: "15-SP5"}},
		"sles:15":                 {{DID: "sles", Name: "SLES", Version: "15", VersionID: "15", PrettyName: "SUSE Linux Enterprise Server 15"}},
		"sles_sap:15.3":           {{DID: "sles_sap", Name: "SLES_SAP", Version: "15-SP3", VersionID: "15.3"}},
		"sle-micro:5.5":           {{DID: "sle-micro", Name: "SLE Micro", Version: "5.5", VersionID: "5.5"}},
		"opensuse-leap:15.5":      {{DID: "opensuse-leap", Name: "openSUSE Leap", Version: "15.5", VersionID: "15.5"}},
		"opensuse-leap:42.3":      {{DID: "opensuse", Name: "openSUSE Leap", Version: "42.3", VersionID: "42.3"}},
		"opensuse-tumbleweed":     {{DID: "opensuse-tumbleweed", Name: "openSUSE Tumbleweed", VersionID: "20240401"}, {DID: "opensuse", Name: "openSUSE Tumbleweed", VersionID: "20180101"}},
		"photon:3":                {{DID: "photon", Name: "VMware Photon OS", Version: "3.0", VersionID: "3.0", PrettyName: "VMware Photon OS/Linux"}},
		"azurelinux:3":            {{DID: "azurelinux", Name: "Microsoft Azure Linux", Version: "3.0.20240727", VersionID: "3.0"}},
		"mariner:2":               {{DID: "mariner", Name: "Common Base Linux Mariner", Version: "2.0.20240609", VersionID: "2.0"}},
		"fedora:42":               {{DID: "fedora", Name: "Fedora Linux", Version: "42 (Container Image)", VersionID: "42"}},
		"mageia:9":                {{DID: "mageia", Name: "Mageia", Version: "9", VersionID: "9"}},
		"openeuler:22.03-LTS-SP2": {{DID: "openEuler", Name: "openEuler", Version: "22.03 (LTS-SP2)", VersionID: "22.03"}},
		"wolfi":                   {{DID: "wolfi", Name: "Wolfi", VersionID: "20230201"}},
		"chainguard":              {{DID: "chainguard", Name: "Chainguard", VersionID: "20230214"}},
		"":                        {{}, {DID: "kali", Name: "Kali GNU/Linux", VersionID: "2024.1", VersionCodeName: "kali-rolling"}, {DID: "devuan", Name: "Devuan GNU/Linux", VersionID: "5"}, {DID: "anolis", Name: "Anolis OS", VersionID: "8.8"}, {DID: "ubuntu-core", Name: "Ubuntu Core", VersionID: "22"}, {DID: "slackware", Name: "Slackware", VersionID: "15.0"}, {DID: "debian"}, {Name: "debian testing"}},
	} {
		for _, d := range systems {
			t.Run(want+"/"+d.PrettyName+d.VersionID, func(t *testing.T) {
				r, ok := distro.ReleaseOf(&d)
				require.Equal(t, want, r.Platform, "%+v", d)
				require.Equal(t, want != "", ok)
			})
		}
	}
	_, ok := distro.ReleaseOf(nil)
	require.False(t, ok)
}

func TestReleaseByPURL(t *testing.T) {
	for _, c := range []struct{ namespace, distro, want string }{
		{"debian", "bookworm", "debian:12"}, {"ubuntu", "esm-apps/xenial", "ubuntu:16.04"}, {"ubuntu", "trusty/esm", "ubuntu:14.04"},
		{"ubuntu", "fips/xenial", ""}, {"ubuntu", "jammy", "ubuntu:22.04"}, {"alpine", "3.18", "alpine:3.18"}, {"alpine", "v3.18", "alpine:3.18"},
		{"redhat", "rhel-9.6", "rhel:9"}, {"wolfi", "", "wolfi"}, {"chainguard", "20230214", "chainguard"}, {"rocky-linux", "9", "rocky:9"},
		{"", "debian-11", "debian:11"}, {"debian", "", ""}, {"", "", ""}, {"npm", "1", ""}, {"suse", "sles-12.5", "sles:12.5"},
	} {
		r, ok := distro.ReleaseByPURL(c.namespace, c.distro)
		require.Equal(t, c.want, r.Platform, "%+v", c)
		require.Equal(t, c.want != "", ok)
	}
}

func TestReleaseByCPE(t *testing.T) {
	for cpe, want := range map[string]string{
		"cpe:/o:redhat:enterprise_linux:8::baseos":                  "rhel:8",
		"cpe:2.3:a:redhat:enterprise_linux:8:*:appstream:*:*:*:*:*": "rhel:8",
		"cpe:/o:redhat:rhel_eus:9.2::baseos":                        "rhel:9",
		"cpe:/a:redhat:rhel_e4s:9.0::appstream":                     "rhel:9",
		"cpe:/a:redhat:openshift:4.13::el9":                         "rhel:9",
		"cpe:/a:redhat:quarkus:2.13":                                "",
		"cpe:/a:redhat:openshift:4":                                 "",
		"cpe:/o:almalinux:almalinux:9::baseos":                      "almalinux:9",
		"cpe:/o:suse:sles:15:sp5":                                   "sles:15.5",
		"cpe:2.3:o:amazon:amazon_linux:2":                           "amzn:2",
		"":                                                          "", "cpe:/o": "", "redhat": "",
	} {
		r, ok := distro.ReleaseByCPE(cpe)
		require.Equal(t, want, r.Platform, cpe)
		require.Equal(t, want != "", ok, cpe)
	}
}

// TestRelease_Distribution pins the values that Clair's matchers compare.
func TestRelease_Distribution(t *testing.T) {
	for platform, want := range map[string]clair.Distribution{
		"alpine:3.18":        {DID: "alpine", Name: "Alpine Linux", VersionID: "3.18", PrettyName: "Alpine Linux v3.18"},
		"debian:12":          {DID: "debian", Name: "Debian GNU/Linux", Version: "12 (bookworm)", VersionCodeName: "bookworm", VersionID: "12", PrettyName: "Debian GNU/Linux 12 (bookworm)"},
		"ubuntu:22.04":       {DID: "ubuntu", Name: "Ubuntu", Version: "22.04 (Jammy)", VersionCodeName: "jammy", VersionID: "22.04", PrettyName: "Ubuntu 22.04"},
		"sles:15.5":          {DID: "sles", Name: "SLES", Version: "15-SP5", VersionID: "15.5", PrettyName: "SUSE Linux Enterprise Server 15 SP5"},
		"opensuse-leap:15.5": {DID: "opensuse-leap", Name: "openSUSE Leap", Version: "15.5", VersionID: "15.5", PrettyName: "openSUSE Leap 15.5"},
		"ol:9":               {DID: "ol", Name: "Oracle Linux Server", Version: "9", VersionCodeName: "Oracle Linux 9", VersionID: "9", PrettyName: "Oracle Linux Server 9"},
		"photon:3":           {DID: "photon", Name: "VMware Photon OS", Version: "3.0", VersionID: "3.0", PrettyName: "VMware Photon OS/Linux"},
		"amzn:2018.03":       {DID: "amzn", Name: "Amazon Linux AMI", Version: "2018.03", VersionID: "2018.03", PrettyName: "Amazon Linux AMI 2018.03"},
		"amzn:2":             {DID: "amzn", Name: "Amazon Linux", Version: "2", VersionID: "2", PrettyName: "Amazon Linux 2"},
		"rhel:8": {DID: "rhel", Name: "Red Hat Enterprise Linux Server", Version: "8", VersionID: "8", PrettyName: "Red Hat Enterprise Linux Server 8",
			CPE: "cpe:2.3:o:redhat:enterprise_linux:8:*:*:*:*:*:*:*"},
		"openeuler:22.03-LTS": {DID: "openEuler", Name: "openEuler", Version: "22.03-LTS", VersionID: "22.03-LTS", PrettyName: "openEuler 22.03-LTS"},
	} {
		r, ok := distro.ReleaseByName(platform)
		require.True(t, ok)
		require.Equal(t, want, *r.Distribution())
	}
}

func TestRelease_Accepts(t *testing.T) {
	release := func(name string) distro.Release {
		r, ok := distro.ReleaseByName(name)
		require.True(t, ok, name)
		return r
	}
	require.True(t, release("centos:7").Accepts(release("rhel:7")))
	require.True(t, release("sles_sap:15.5").Accepts(release("sles:15.5")))
	require.True(t, release("rhel:7").Accepts(release("rhel:7")))
	require.False(t, release("rhel:7").Accepts(release("centos:7")))
	require.False(t, release("almalinux:9").Accepts(release("rhel:9")), "AlmaLinux has its own feed")
	require.False(t, release("centos:7").Accepts(distro.Release{}))
	require.Equal(t, "bookworm", release("debian:12").CodeName())
}

func FuzzRelease(f *testing.F) {
	for _, s := range []string{"SUSE:Linux Enterprise Server 15 SP5", "debian:12", "cpe:/o:redhat:rhel_eus:9.2", "v3.18", "esm-apps/xenial"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := distro.ReleaseByName(s); ok {
			again, ok := distro.ReleaseByName(r.Platform)
			require.True(t, ok, r.Platform)
			require.Equal(t, r, again)
		}
		distro.ReleaseByCPE(s)
		distro.ReleaseByPURL("ubuntu", s)
		distro.ReleaseOf(&clair.Distribution{DID: s, Version: s, PrettyName: s})
	})
}

func TestRelease_Ended(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"debian:11": "2026-08-31", "debian:12": "", "debian:16": "", "raspbian:10": "2024-06-30", "alpine:3.21": "2026-11-01", "alpine:3.22": "",
		"ubuntu:23.10": "2024-07-12", "ubuntu:20.04": "", "linuxmint:21.3": "", "centos:6": "2024-06-30", "amzn:2": "2026-06-30", "wolfi": "",
	} {
		r, ok := distro.ReleaseByName(name)
		require.True(t, ok, name)
		require.Equal(t, want, r.Ended(now), name)
	}
	for name, gone := range map[string]bool{"debian:9": true, "debian:11": false, "ubuntu:23.10": true, "ubuntu:22.04": false, "alpine:3.10": false, "linuxmint:21.3": false} {
		r, ok := distro.ReleaseByName(name)
		require.True(t, ok, name)
		require.Equal(t, gone, r.RemovedFromFeed(now) != "", name)
		require.Empty(t, r.RemovedFromFeed(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), name)
	}
}

func TestForeign(t *testing.T) {
	require.Contains(t, distro.Foreign(&clair.Distribution{DID: "kali"}), "not those of Debian")
	require.Contains(t, distro.Foreign(&clair.Distribution{DID: "anolis"}), "not those of Red Hat")
	require.Equal(t, "No feed is known for the distribution.", distro.Foreign(&clair.Distribution{DID: "slackware"}))
}
