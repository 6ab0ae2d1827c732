package clair_test

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// TestIndexReport_Records_Signed has packages of Debian and Ubuntu whose
// advisories name another source than the one that they were built from.
func TestIndexReport_Records_Signed(t *testing.T) {
	for _, tt := range []struct{ name, version, source, sourceVersion, want string }{
		{"linux-image-6.1.0-17-amd64", "6.1.69-1", "linux-signed-amd64", "6.1.69+1", "linux 6.1.69-1"},
		{"linux-image-4.19.0-6-amd64", "4.19.67-2+deb10u1", "linux-signed-amd64", "4.19.67+2+deb10u1", "linux 4.19.67-2+deb10u1"},
		{"linux-image-6.1.0-0.deb11.21-arm64", "6.1.90-1~deb11u1", "linux-signed-6.1-arm64", "6.1.90+1~deb11u1", "linux-6.1 6.1.90-1~deb11u1"},
		{"linux-image-5.15.0-91-generic", "5.15.0-91.101", "linux-signed", "5.15.0-91.101", "linux 5.15.0-91.101"},
		{"linux-image-6.2.0-39-generic", "6.2.0-39.40~22.04.1", "linux-signed-hwe-6.2", "6.2.0-39.40~22.04.1", "linux-hwe-6.2 6.2.0-39.40~22.04.1"},
		{"linux-image-5.15.0-1051-aws", "5.15.0-1051.56", "linux-signed-aws", "5.15.0-1051.56", "linux-aws 5.15.0-1051.56"},
		{"linux-image-generic", "5.15.0.91.88", "linux-meta", "5.15.0.91.88", "linux 5.15.0-91.9999"},
		{"linux-image-aws", "5.15.0.1051.56", "linux-meta-aws", "5.15.0.1051.56", "linux-aws 5.15.0-1051.9999"},
		{"grub-efi-amd64-signed", "1+2.06+13+deb12u1", "grub-efi-amd64-signed", "1+2.06+13+deb12u1", "grub2 2.06-13+deb12u1"},
		{"grub-efi-arm64-signed", "1+2.06+4", "grub-efi-arm64-signed", "1+2.06+4", "grub2 2.06-4"},
		{"grub-efi-amd64-signed", "1.187.6+2.06-2ubuntu14.4", "grub2-signed", "1.187.6", "grub2-unsigned 2.06-2ubuntu14.4"},
		{"grub-efi-amd64-signed", "1.66.32+2.02~beta2-36ubuntu3.32", "grub2-signed", "1.66.32", "grub2 2.02~beta2-36ubuntu3.32"},
		{"shim-signed", "1.39+15.7-1", "shim-signed", "1.39+15.7-1", "shim 15.7-1"},
		{"shim-signed", "1.44~1+deb12u1+15.8-1~deb12u1", "shim-signed", "", "shim 15.8-1~deb12u1"},
		{"shim-signed-common", "1.39", "shim-signed", "1.39", ""},
		{"shim-signed", "1.44~1+deb11u1+15.8-1~deb11u1", "shim-signed", "1.44~1+deb11u1", "shim 15.8-1~deb11u1"},
		{"shim-helpers-amd64-signed", "1+15.8+1~deb12u1", "shim-helpers-amd64-signed", "1+15.8+1~deb12u1", "shim 15.8-1~deb12u1"},
		{"fwupd-amd64-signed", "1.5.7+4", "fwupd-amd64-signed", "1.5.7+4", "fwupd 1.5.7-4"},
		{"shim-helpers-arm64-signed", "1+15.8+1~deb12u1", "shim-helpers-arm64-signed", "", "shim 15.8-1~deb12u1"},
		{"linux-image-6.1.0-18-cloud-amd64", "6.1.76-1", "linux-image-6.1.0-18-cloud-amd64", "6.1.76-1", "linux 6.1.76-1"},
		{"linux-image-6.1.0-0.deb11.21-amd64", "6.1.90-1~deb11u1", "linux-image-6.1.0-0.deb11.21-amd64", "6.1.90-1~deb11u1", ""},
		{"linux-image-5.15.0-91-generic", "5.15.0-91.101", "linux-image-5.15.0-91-generic", "5.15.0-91.101", "linux 5.15.0-91.101"},
		{"linux-image-6.5.0-14-generic", "6.5.0-14.14~22.04.1", "linux-image-6.5.0-14-generic", "", "linux-hwe-6.5 6.5.0-14.14~22.04.1"},
		{"linux-image-5.15.0-1053-azure", "5.15.0-1053.61", "linux-image-5.15.0-1053-azure", "", "linux-azure 5.15.0-1053.61"},
		{"linux-image-6.5.0-1013-aws", "6.5.0-1013.13~22.04.1", "linux-image-6.5.0-1013-aws", "", "linux-aws-6.5 6.5.0-1013.13~22.04.1"},
		{"linux-image-6.1.0-17-octeon", "6.1.69-1", "linux-image-6.1.0-17-octeon", "", ""},
		{"libssl3", "3.0.9-1", "openssl", "3.0.9-1", ""},
		{"linux-headers-6.1.0-17-amd64", "6.1.69-1", "linux", "6.1.69-1", ""},
		{"linux-firmware", "1", "linux-firmware", "1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report := &clair.IndexReport{
				Packages: map[string]*clair.Package{"1": {
					Name: tt.name, Version: tt.version, Source: &clair.Package{Name: tt.source, Version: tt.sourceVersion},
				}},
				Environments: map[string][]clair.Environment{"1": {{}}},
			}
			want := []string{"binary " + tt.name + " " + tt.version, "source " + tt.source + " " + cmp.Or(tt.sourceVersion, tt.version)}
			if tt.want != "" {
				want = append(want, "source "+tt.want)
			}
			var got []string
			for _, r := range report.Records() {
				got = append(got, fmt.Sprintf("%s %s %s", r.Package.Kind, r.Package.Name, r.Package.Version))
			}
			require.Equal(t, want, got)
		})
	}
}
