package system

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
)

func TestParseOSRelease(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want clair.Distribution
	}{
		"debian": {"ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\n",
			clair.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", Version: "12 (bookworm)", VersionCodeName: "bookworm"}},
		"quotes":        {"ID='a'\nNAME=\"b \\\"c\\\"\"\nPRETTY_NAME=\"\n", clair.Distribution{DID: "a", Name: `b "c"`, PrettyName: `"`}},
		"crlf_and_mark": {"\ufeffID=alpine\r\nVERSION_ID=3.20.1\r\n", clair.Distribution{DID: "alpine", VersionID: "3.20.1"}},
		"utf16":         {"\xff\xfeI\x00D\x00=\x00x\x00\n\x00", clair.Distribution{DID: "x"}},
		"cpe":           {"ID=rhel\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:9::baseos\"\n", clair.Distribution{DID: "rhel", CPE: "cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*"}},
		"bad_cpe":       {"ID=x\nCPE_NAME=nonsense\n", clair.Distribution{DID: "x"}},
		"mint": {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"21.3\"\nVERSION_CODENAME=virginia\nUBUNTU_CODENAME=jammy\n",
			clair.Distribution{DID: "linuxmint", VersionID: "21.3", VersionCodeName: "jammy"}},
		"mint_of_debian": {"ID=linuxmint\nVERSION_ID=\"6\"\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n",
			clair.Distribution{DID: "linuxmint", VersionID: "6", VersionCodeName: "bookworm"}},
		"ubuntu": {"ID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=other\n",
			clair.Distribution{DID: "ubuntu", VersionID: "22.04", VersionCodeName: "jammy"}},
		"coreos": {"ID=rhcos\nVERSION_ID=\"4.13\"\nRHEL_VERSION=\"9.2\"\n", clair.Distribution{DID: "rhcos", VersionID: "4.13", VersionCodeName: "el9"}},
		"kali": {"ID=kali\nVERSION_ID=\"2024.1\"\nVERSION_CODENAME=kali-rolling\n",
			clair.Distribution{DID: "kali", VersionID: "2024.1", VersionCodeName: "kali-rolling"}},
		"long": {"ID=x\nNAME=" + strings.Repeat("n", 10_000) + "\n", clair.Distribution{DID: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := parseOSRelease(strings.NewReader(c.text))
			require.NoError(t, err)
			require.Equal(t, &c.want, d)
		})
	}
}

func TestDpkgPaths(t *testing.T) {
	for path, want := range map[string]string{
		"var/lib/dpkg/status":                  "dpkg",
		"usr/lib/sysimage/dpkg/status":         "dpkg",
		"usr/share/dpkg/database/status":       "dpkg",
		"var/lib/dpkg/status.d/base":           "dpkg",
		"usr/lib/sysimage/dpkg/status.d/base":  "dpkg",
		"var/lib/dpkg/status.d/base.md5sums":   "dpkg-files",
		"usr/lib/sysimage/dpkg/info/base.list": "dpkg-files",
		"var/lib/dpkg/status.d/deeper/base":    "",
		"var/lib/dpkg/status-old":              "",
		"opt/var/lib/dpkg/status":              "",
		"lib/apk/db/installed":                 "apk",
		"etc/os-release":                       "os-release",
		"usr/lib/os-release":                   "os-release",
		"etc/alpine-release":                   "release-file",
	} {
		t.Run(path, func(t *testing.T) {
			got := ""
			for _, r := range Readers() {
				if r.Wants(path, 0o644) && got == "" {
					got = r.Name
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// TestDpkg_Encodings reads a database in other encodings than dpkg's own.
func TestDpkg_Encodings(t *testing.T) {
	for name, text := range map[string]string{
		"crlf": "Package: a\r\nVersion: 1\r\n\r\nPackage: b\r\nVersion: 2\r\n", "mark": "\ufeffPackage: a\nVersion: 1\n\nPackage: b\nVersion: 2\n",
	} {
		t.Run(name, func(t *testing.T) {
			out := &reader.Found{}
			require.NoError(t, parseDpkg(strings.NewReader(text), out))
			require.Len(t, out.Packages, 2)
		})
	}
}
