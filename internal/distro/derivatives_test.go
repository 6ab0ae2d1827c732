package distro_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
)

// TestReleaseOf_Derivatives has the fields of os-release files of distributions
// that install the packages of another; VersionCodeName is the parent's.
func TestReleaseOf_Derivatives(t *testing.T) {
	for name, c := range map[string]struct {
		d            clair.Distribution
		platform, of string
	}{
		"mint":              {clair.Distribution{DID: "linuxmint", Name: "Linux Mint", VersionID: "21.3", VersionCodeName: "jammy"}, "linuxmint:21", "ubuntu:22.04"},
		"mint_to_come":      {clair.Distribution{DID: "linuxmint", VersionID: "23", VersionCodeName: "resolute"}, "linuxmint:23", "ubuntu:26.04"},
		"mint_by_number":    {clair.Distribution{DID: "linuxmint", VersionID: "20.2"}, "linuxmint:20", "ubuntu:20.04"},
		"mint_of_debian":    {clair.Distribution{DID: "linuxmint", VersionID: "6", VersionCodeName: "bookworm"}, "linuxmint:6", "debian:12"},
		"mint_unknown":      {clair.Distribution{DID: "linuxmint", VersionID: "40"}, "linuxmint:40", ""},
		"pop":               {clair.Distribution{DID: "pop", Name: "Pop!_OS", VersionID: "22.04"}, "pop:22.04", "ubuntu:22.04"},
		"elementary":        {clair.Distribution{DID: "elementary", VersionID: "7.1", VersionCodeName: "jammy"}, "elementary:7", "ubuntu:22.04"},
		"zorin":             {clair.Distribution{DID: "zorin", VersionID: "17"}, "zorin:17", "ubuntu:22.04"},
		"neon":              {clair.Distribution{DID: "neon", VersionID: "24.04", VersionCodeName: "noble"}, "neon:24.04", "ubuntu:24.04"},
		"raspbian":          {clair.Distribution{DID: "raspbian", VersionID: "12"}, "raspbian:12", "debian:12"},
		"coreos":            {clair.Distribution{DID: "rhcos", Name: "Red Hat Enterprise Linux CoreOS", VersionID: "4.19", VersionCodeName: "el9"}, "rhcos:4.19", "rhel:9"},
		"coreos_by_number":  {clair.Distribution{DID: "rhcos", VersionID: "4.12"}, "rhcos:4.12", "rhel:8"},
		"coreos_by_number9": {clair.Distribution{DID: "rhcos", VersionID: "4.13"}, "rhcos:4.13", "rhel:9"},
	} {
		t.Run(name, func(t *testing.T) {
			r, ok := distro.ReleaseOf(&c.d)
			require.True(t, ok)
			require.Equal(t, c.platform, r.Platform)
			require.Equal(t, c.of, r.Of)
		})
	}
	for _, id := range []string{"kali", "devuan", "parrot", "anolis", "deepin"} {
		t.Run(id, func(t *testing.T) {
			_, ok := distro.ReleaseOf(&clair.Distribution{DID: id, VersionID: "1"})
			require.False(t, ok)
		})
	}
}
