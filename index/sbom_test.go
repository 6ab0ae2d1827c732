package index

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func TestSBOMFormatOf(t *testing.T) {
	for _, s := range []string{"application/vnd.cyclonedx+json; version=1.5", "application/vnd.cyclonedx+xml", "application/spdx+json", "text/spdx; charset=utf-8"} {
		_, ok := SBOMFormatOf(s)
		require.True(t, ok, s)
	}
	for _, s := range []string{"", "application/json", "text/plain", "application/vnd.cyclonedx", ";;"} {
		_, ok := SBOMFormatOf(s)
		require.False(t, ok, s)
	}
}

// TestSBOM_Real counts by hand what real documents hold.
func TestSBOM_Real(t *testing.T) {
	for _, c := range []struct {
		file      string
		format    SBOMFormat
		packages  int
		unmatched int
		platform  string
	}{
		{"cyclonedx-alpine.xml.gz", CycloneDXXML, 15, 0, "alpine:3.17"},
		{"cyclonedx-postgres-stretch.xml.gz", CycloneDXXML, 0, 0, "debian:9"},
		{"spdx-distroless-static-debian12.spdx.json.gz", SPDXJSON, 3, 0, "debian:12"},
		{"spdx-ubi8-micro.spdx.json.gz", SPDXJSON, 0, 0, "rhel:8"},
		{"spdx-ubi-latest.spdx.json.gz", SPDXJSON, 0, 0, "rhel:9"},
		{"spdx-go-hummingbird.spdx.json.gz", SPDXJSON, 0, 0, "fedora:44"},
		{"trivy-centos-7-cyclonedx.json", CycloneDXJSON, 2, 0, "centos:7"},
		{"trivy-centos-7-spdx.json", SPDXJSON, 2, 0, "centos:7"},
		{"trivy-fluentd-multiple-lockfiles-cyclonedx.json", CycloneDXJSON, 3, 0, "debian:10"},
		{"trivy-minikube-kbom.json", CycloneDXJSON, 0, 0, ""},
	} {
		t.Run(c.file, func(t *testing.T) {
			s, err := ReadSBOM(c.format, unzipped(t, "inventories", "sbom", c.file), SBOMOptions{})
			require.NoError(t, err)
			require.Equal(t, [2]int{c.packages, c.unmatched}, [2]int{len(s.Report.Packages), len(s.Unmatched)}, "%v", s.Unmatched)
			for _, d := range s.Report.Distributions {
				r, ok := clair.ReleaseOf(d)
				require.True(t, ok)
				require.Equal(t, c.platform, r.Platform)
			}
			checkReport(t, s.Report)
		})
	}
}

// checkReport holds a report against what Clair's clients need.
func checkReport(t testing.TB, r *clair.IndexReport) {
	t.Helper()
	ids := map[string]bool{}
	take := func(id string) {
		require.Regexp(t, `^[1-9][0-9]*$`, id)
		require.False(t, ids[id], "id %s is used twice", id)
		ids[id] = true
	}
	for id, p := range r.Packages {
		require.Equal(t, id, p.ID)
		take(id)
		require.NotEmpty(t, r.Environments[id])
	}
	for id := range r.Distributions {
		take(id)
	}
	for id := range r.Repositories {
		take(id)
	}
	for _, envs := range r.Environments {
		for _, e := range envs {
			require.NotEmpty(t, e.IntroducedIn)
			require.NotNil(t, e.RepositoryIDs)
		}
	}
	require.True(t, r.Success)
	require.Equal(t, clair.StateIndexFinished, r.State)
}

const tagValue = `SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentComment: <text>PackageName: not one
</text>
PackageName: openssl
SPDXID: SPDXRef-1
PackageVersion: 3.0.9-1
ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12&upstream=openssl
PackageName: lodash
SPDXID: SPDXRef-2
ExternalRef: PACKAGE-MANAGER purl pkg:npm/lodash@4.17.0
PackageName: mystery
SPDXID: SPDXRef-3
PackageVersion: 1
PackageName: unplaced
SPDXID: SPDXRef-4
ExternalRef: PACKAGE-MANAGER purl pkg:deb/nobody/unplaced@1
`

func TestSBOM_TagValue(t *testing.T) {
	s, err := ReadSBOM(SPDXTagValue, []byte(tagValue), SBOMOptions{})
	require.NoError(t, err)
	checkReport(t, s.Report)
	require.Equal(t, []Skipped{
		{"mystery@1", "it has no package URL"}, {"pkg:deb/nobody/unplaced@1", "no distribution is known for it"},
	}, s.Unmatched)
	var names []string
	for _, p := range s.Report.Packages {
		names = append(names, p.Name+" "+p.Version)
		if p.Name == "libssl3" {
			require.Equal(t, "openssl", p.Source.Name)
		}
	}
	require.ElementsMatch(t, []string{"libssl3 3.0.9-1", "lodash 4.17.0"}, names)

	release, _ := clair.ReleaseByName("ubuntu:22.04")
	s, err = ReadSBOM(SPDXTagValue, []byte(tagValue), SBOMOptions{Release: &release})
	require.NoError(t, err)
	require.Len(t, s.Unmatched, 1)
	require.Len(t, s.Report.Distributions, 1)
}

func TestSBOM_Invalid(t *testing.T) {
	for _, f := range []SBOMFormat{CycloneDXJSON, CycloneDXXML, SPDXJSON, SPDXTagValue, "x"} {
		for _, text := range []string{"", "{", "{}", "<bom/>", "null", "[]", strings.Repeat("[", 20000), strings.Repeat("<a>", 20000)} {
			_, err := ReadSBOM(f, []byte(text), SBOMOptions{})
			require.ErrorIs(t, err, clair.ErrInvalid, "%s %.20q", f, text)
		}
	}
}

func FuzzSBOM(f *testing.F) {
	f.Add([]byte(tagValue))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"type":"library","purl":"pkg:npm/a@1"}]}`))
	f.Add([]byte(`<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component><purl>pkg:npm/a@1</purl></component></components></bom>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []SBOMFormat{CycloneDXJSON, CycloneDXXML, SPDXJSON, SPDXTagValue} {
			if s, err := ReadSBOM(format, b, SBOMOptions{}); err == nil {
				checkReport(t, s.Report)
			}
		}
	})
}
