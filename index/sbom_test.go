package index

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader/readertest"
	"oriel/index/sbom"
	"oriel/internal/distro"
)

// TestSBOM_Real holds the counts of real documents hold.
func TestSBOM_Real(t *testing.T) {
	for _, c := range []struct {
		file      string
		format    sbom.Format
		packages  int
		unmatched int
		platform  string
	}{
		{"cyclonedx-alpine.xml.gz", sbom.CycloneDXXML, 14, 1, "alpine:3.17"},
		{"cyclonedx-postgres-stretch.xml.gz", sbom.CycloneDXXML, 135, 1, "debian:9"},
		{"spdx-distroless-static-debian12.spdx.json.gz", sbom.SPDXJSON, 3, 0, "debian:12"},
		{"spdx-ubi8-micro.spdx.json.gz", sbom.SPDXJSON, 19, 1, "rhel:8"},
		{"spdx-ubi-latest.spdx.json.gz", sbom.SPDXJSON, 206, 1321, "rhel:9"},
		{"spdx-go-hummingbird.spdx.json.gz", sbom.SPDXJSON, 164, 433, "fedora:44"},
		{"trivy-centos-7-cyclonedx.json", sbom.CycloneDXJSON, 2, 0, "centos:7"},
		{"trivy-centos-7-spdx.json", sbom.SPDXJSON, 2, 0, "centos:7"},
		{"trivy-fluentd-multiple-lockfiles-cyclonedx.json", sbom.CycloneDXJSON, 3, 0, "debian:10"},
		{"trivy-minikube-kbom.json", sbom.CycloneDXJSON, 1, 14, ""},
	} {
		t.Run(c.file, func(t *testing.T) {
			s, err := ReadSBOM(c.format, readertest.Corpus(t, "inventories", "sbom", c.file), SBOMOptions{})
			require.NoError(t, err)
			require.Equal(t, [2]int{c.packages, c.unmatched}, [2]int{len(s.Packages), len(s.Unmatched)})
			for _, d := range s.Distributions {
				r, ok := distro.ReleaseOf(d)
				require.True(t, ok)
				require.Equal(t, c.platform, r.Platform)
			}
			checkReport(t, s)
		})
	}
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
	s, err := ReadSBOM(sbom.SPDXTagValue, []byte(tagValue), SBOMOptions{})
	require.NoError(t, err)
	checkReport(t, s)
	require.Equal(t, []clair.Unmatched{
		{Package: "mystery", Version: "1", Reason: "it has no package URL"},
		{Package: "pkg:deb/nobody/unplaced@1", Reason: "no distribution is known for it"},
	}, s.Unmatched)
	var names []string
	for _, p := range s.Packages {
		names = append(names, p.Name+" "+p.Version)
		if p.Name == "libssl3" {
			require.Equal(t, "openssl", p.Source.Name)
		}
	}
	require.ElementsMatch(t, []string{"libssl3 3.0.9-1", "lodash 4.17.0"}, names)

	release, _ := distro.ReleaseByName("ubuntu:22.04")
	s, err = ReadSBOM(sbom.SPDXTagValue, []byte(tagValue), SBOMOptions{Release: &release})
	require.NoError(t, err)
	require.Len(t, s.Unmatched, 1)
	require.Len(t, s.Distributions, 1)
}

func TestSBOM_Invalid(t *testing.T) {
	for _, f := range []sbom.Format{sbom.CycloneDXJSON, sbom.CycloneDXXML, sbom.SPDXJSON, sbom.SPDXTagValue, "x"} {
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
	f.Add([]byte(`{"artifacts":[{"name":"a","purl":"pkg:npm/a@1"}],"descriptor":{},"distro":{"id":"debian","versionID":"12"}}`))
	f.Add([]byte(`{"@context":"spdx","@graph":[{"type":"software_Package","software_packageUrl":"pkg:deb/debian/a@1?distro=debian-12"}]}`))
	f.Add([]byte(`{"manifests":{"m":{"resolved":{"a":{"package_url":"pkg:golang/a@1#v2"}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []sbom.Format{sbom.CycloneDXJSON, sbom.CycloneDXXML, sbom.SPDXJSON, sbom.SPDXTagValue, sbom.SyftJSON, sbom.GitHubSnapshot} {
			if s, err := ReadSBOM(format, b, SBOMOptions{}); err == nil {
				checkReport(t, s)
			}
		}
	})
}
