package sbom

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
)

func TestFormatOf(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/vnd.cyclonedx+json; version=1.5":     true,
		"application/vnd.cyclonedx+xml":                   true,
		"application/spdx+json":                           true,
		"text/spdx; charset=utf-8":                        true,
		"application/vnd.syft+json":                       true,
		"application/vnd.github.dependency-snapshot+json": true,
		"":                          false,
		"application/json":          false,
		"text/plain":                false,
		"application/vnd.cyclonedx": false,
		";;":                        false,
	} {
		t.Run(contentType, func(t *testing.T) {
			_, ok := FormatOf(contentType)
			require.Equal(t, want, ok)
		})
	}
}

// cyclone1 is a CycloneDX document of one component.
func cyclone1(purl string) []byte {
	b, _ := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "components": []map[string]any{{"type": "library", "name": "n", "purl": purl}}})
	return b
}

// line writes a package, its source and its distribution.
func line(p Package) string {
	out := p.Name + " " + p.Version
	if p.Source != nil {
		out += " < " + p.Source.Name + " " + p.Source.Version
	}
	if p.Module != "" {
		out += " [" + p.Module + "]"
	}
	if r, ok := distro.ReleaseOf(p.Distribution); ok {
		out += " " + r.Platform
	}
	return p.Ecosystem + strings.TrimPrefix(" "+out, strings.Repeat(" ", min(1, 1-min(1, len(p.Ecosystem)))))
}

// TestRead_PackageURLs reads package URLs as tools write them.
func TestRead_PackageURLs(t *testing.T) {
	for purl, want := range map[string]string{
		// Go
		"pkg:golang/github.com/x/y@v5.6.0#v5":         "go github.com/x/y/v5 v5.6.0",
		"pkg:golang/github.com/x/y@v0.9.0#api/auth/z": "go github.com/x/y/api/auth/z v0.9.0",
		"pkg:golang/github.com%2Fx%2Fy@v1.0.0":        "go github.com/x/y v1.0.0",
		"pkg:golang/std@1.20.5":                       "go stdlib 1.20.5",
		"pkg:golang/stdlib@go1.20.5":                  "go stdlib go1.20.5",
		// the source package of a distribution's
		"pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12&upstream=openssl":                     "libssl3 3.0.9-1 < openssl 3.0.9-1 debian:12",
		"pkg:deb/debian/libc6@2.36-9+b1?distro=debian-12&upstream=glibc%402.36-9":                         "libc6 2.36-9+b1 < glibc 2.36-9 debian:12",
		"pkg:deb/debian/libssl3@3.0.9-1?distro=bookworm&source=openssl":                                   "libssl3 3.0.9-1 < openssl 3.0.9-1 debian:12",
		"pkg:deb/debian/libssl3@3.0.9-1+b1?distro=bookworm&source=openssl&sourceversion=3.0.9-1":          "libssl3 3.0.9-1+b1 < openssl 3.0.9-1 debian:12",
		"pkg:deb/debian/curl@7.88-1?distro=debian-12":                                                     "curl 7.88-1 < curl 7.88-1 debian:12",
		"pkg:deb/debian/vim@9.0-4?epoch=2&distro=debian-12":                                               "vim 2:9.0-4 < vim 2:9.0-4 debian:12",
		"pkg:apk/alpine/ssl_client@1.36-r1?distro=3.19.4&origin=busybox":                                  "ssl_client 1.36-r1 < busybox 1.36-r1 alpine:3.19",
		"pkg:apk/alpine/ssl_client@1.36-r1?distro=alpine-3.19.4&upstream=busybox":                         "ssl_client 1.36-r1 < busybox 1.36-r1 alpine:3.19",
		"pkg:rpm/rocky/bind-libs@9.11-3.el8?epoch=32&distro=rocky-8.10&sourcerpm=bind-9.11-3.el8.src.rpm": "bind-libs 32:9.11-3.el8 < bind 32:9.11-3.el8 rocky:8",
		"pkg:rpm/rocky/bind-libs@9.11-3.el8?epoch=32&distro=rocky-8.10&upstream=bind-9.16-1.el8.src.rpm":  "bind-libs 32:9.11-3.el8 < bind 32:9.16-1.el8 rocky:8",
		"pkg:rpm/rocky/bind-libs@32:9.11-3.el8?distro=rocky-8&upstream=bind-31:9.16-1.el8.src.rpm":        "bind-libs 32:9.11-3.el8 < bind 31:9.16-1.el8 rocky:8",
		"pkg:rpm/redhat/npm@8-1?epoch=1&distro=rhel-8.6&rpmmod=nodejs:18:8060:abc":                        "npm 1:8-1 [nodejs:18] rhel:8",
		"pkg:rpm/rocky/dbus@1:1.12.8-18.el8?distro=rocky-8.6":                                             "dbus 1:1.12.8-18.el8 < dbus 1:1.12.8-18.el8 rocky:8",
		// the release
		"pkg:deb/ubuntu/a@1?distro=ubuntu-22.04":                          "a 1 < a 1 ubuntu:22.04",
		"pkg:deb/ubuntu/a@1?distro=jammy":                                 "a 1 < a 1 ubuntu:22.04",
		"pkg:deb/debian/a@1?distro=debian-12.4":                           "a 1 < a 1 debian:12",
		"pkg:deb/debian/a@1?distro_name=bookworm":                         "a 1 < a 1 debian:12",
		"pkg:apk/wolfi/a@1?distro=wolfi-20230201":                         "a 1 < a 1 wolfi",
		"pkg:apk/chainguard/a@1?distro=chainguard-20230214":               "a 1 < a 1 chainguard",
		"pkg:rpm/redhat/a@1?distro=redhat-8.9":                            "a 1 rhel:8",
		"pkg:rpm/redhat/a@1?distro=rhel-9.2":                              "a 1 rhel:9",
		"pkg:rpm/centos/a@1?distro=centos-8":                              "a 1 centos:8",
		"pkg:rpm/almalinux/a@1?distro=almalinux-9.3":                      "a 1 almalinux:9",
		"pkg:rpm/alma/a@1?distro=alma-9.3":                                "a 1 almalinux:9",
		"pkg:rpm/fedora/a@1?distro=fedora-39":                             "a 1 fedora:39",
		"pkg:rpm/amzn/a@1?distro=amzn-2023":                               "a 1 amzn:2023",
		"pkg:rpm/amazon/a@1?distro=amazon-2+(Karoo)":                      "a 1 amzn:2",
		"pkg:rpm/oracle/a@1?distro=oracle-8.8":                            "a 1 ol:8",
		"pkg:rpm/ol/a@1?distro=ol-8.8":                                    "a 1 ol:8",
		"pkg:rpm/opensuse/a@1?distro=opensuse-leap-15.5":                  "a 1 < a 1 opensuse-leap:15.5",
		"pkg:rpm/opensuse/a@1?distro=opensuse.leap-15.5":                  "a 1 < a 1 opensuse-leap:15.5",
		"pkg:rpm/opensuse/a@1?distro=opensuse-tumbleweed-20240515":        "a 1 < a 1 opensuse-tumbleweed",
		"pkg:rpm/suse/a@1?distro=sles-15.5":                               "a 1 < a 1 sles:15.5",
		"pkg:rpm/suse/a@1?distro=suse%20linux%20enterprise%20server-15.5": "a 1 < a 1 sles:15.5",
		"pkg:rpm/photon/a@1?distro=photon-5.0":                            "a 1 photon:5",
		"pkg:rpm/cbl-mariner/a@1?distro=cbl-mariner-2.0.20240101":         "a 1 mariner:2",
		"pkg:rpm/mariner/a@1?distro=mariner-2.0":                          "a 1 mariner:2",
		"pkg:rpm/azurelinux/a@1?distro=azurelinux-3.0":                    "a 1 < a 1 azurelinux:3",
		"pkg:apk/alpine/a@1?distro=alpine-3.21.0_alpha20240807":           "a 1 < a 1 alpine:edge",
		"pkg:apk/alpine/a@1?distro=3.21_alpha20240807":                    "a 1 < a 1 alpine:edge",
		"pkg:deb/debian/a@1?distro=debian-bookworm%2Fsid":                 "a 1 < a 1 debian:unstable",
		"pkg:deb/debian/a@1?distro=trixie%2Fsid":                          "a 1 < a 1 debian:unstable",
		"pkg:rpm/amazon/a@1?distro=amazon-AMI%20release%202018.03":        "a 1 amzn:2018.03",
		"pkg:rpm/suse/a@1?distro=slem-5.3":                                "a 1 < a 1 sle-micro:5.3",
		"pkg:rpm/suse/a@1?distro=suse%20linux%20enterprise%20micro-5.3":   "a 1 < a 1 sle-micro:5.3",
		"pkg:rpm/centos/a@1?distro=centos-stream-9":                       "a 1 centos:9",
		"pkg:deb/linuxmint/a@1?distro=linuxmint-21.3":                     "a 1 < a 1 linuxmint:21",
		// languages
		"pkg:npm/%40angular/core@1.0":                                  "npm @angular/core 1.0",
		"pkg:npm/lodash@1?repository_url=https://registry.npmjs.org":   "npm lodash 1",
		"pkg:maven/org.x/y@1?type=jar":                                 "maven org.x:y 1",
		"pkg:swift/github.com/Alamofire/Alamofire@5.4.3":               "swift github.com/Alamofire/Alamofire 5.4.3",
		"pkg:hex/phoenix@1.5.0":                                        "hex phoenix 1.5.0",
		"pkg:pub/http@0.13.1":                                          "pub http 0.13.1",
		"pkg:golang/github.com/!azure/go-autorest@v1.0.0":              "go github.com/azure/go-autorest v1.0.0",
		"pkg:cran/dplyr@1.0":                                           "cran dplyr 1.0",
		"pkg:hackage/aeson@2.0":                                        "hackage aeson 2.0",
		"pkg:julia/HTTP@1.0?uuid=cd3eb016-35fb-5094-929b-558a96fad6f3": "julia HTTP 1.0",
		"pkg:conan/openssl@3.0.3":                                      "conan openssl 3.0.3",
		"pkg:conan/openssl@3.0.3?user=_&channel=_":                     "conan openssl 3.0.3",
		"pkg:github/actions/checkout@v4":                               "github-actions actions/checkout v4",
		"pkg:githubactions/github/codeql-action@v2#init":               "github-actions github/codeql-action v2",
		"pkg:cocoapods/GoogleUtilities@7.5.2#NSData+zlib":              "cocoapods GoogleUtilities/NSData+zlib 7.5.2",
		"pkg:nuget/Newtonsoft.Json@12.0.3.0":                           "nuget Newtonsoft.Json 12.0.3.0",
	} {
		t.Run(purl, func(t *testing.T) {
			doc, err := Read(CycloneDXJSON, cyclone1(purl), nil)
			require.NoError(t, err)
			require.Len(t, doc.Packages, 1)
			require.Equal(t, want, line(doc.Packages[0]))
			// A source package that was only assumed is listed.
			if p := doc.Packages[0]; p.assumedSource {
				require.Len(t, doc.Unmatched, 1)
				require.Contains(t, doc.Unmatched[0].Reason, "no source packages for its packages (1)")
				return
			}
			require.Empty(t, doc.Unmatched)
		})
	}
}

// TestRead_UnknownDistribution keeps packages of distributions that are not
// known, so that a report can name what is not covered.
func TestRead_UnknownDistribution(t *testing.T) {
	for purl, want := range map[string]clair.Distribution{
		"pkg:deb/kali/a@1?distro=kali-2024.1":              {DID: "kali", VersionID: "2024.1"},
		"pkg:rpm/anolis/a@1?distro=anolis-8.9":             {DID: "anolis", VersionID: "8.9"},
		"pkg:deb/nobody/a@1?distro=nobody":                 {DID: "nobody"},
		"pkg:rpm/fedora/a@1?distro=fedora-rawhide":         {DID: "fedora", VersionID: "rawhide"},
		"pkg:apk/postmarketos/a@1?distro=24.06":            {DID: "postmarketos", VersionID: "24.06"},
		"pkg:rpm/x/a@1?distro=some-os-v1.0":                {DID: "some-os", VersionID: "1.0"},
		"pkg:deb/debian/a@1?distro=kali-2024.1&upstream=b": {DID: "kali", VersionID: "2024.1"},
	} {
		t.Run(purl, func(t *testing.T) {
			doc, err := Read(CycloneDXJSON, cyclone1(purl), nil)
			require.NoError(t, err)
			require.Empty(t, doc.Unmatched)
			require.Equal(t, &want, doc.Packages[0].Distribution)
		})
	}
	doc, err := Read(CycloneDXJSON, []byte(`{"bomFormat":"CycloneDX","components":[{"type":"operating-system","name":"kali","version":"2024.1"},{"purl":"pkg:deb/kali/a@1"}]}`), nil)
	require.NoError(t, err)
	require.Equal(t, &clair.Distribution{DID: "kali", VersionID: "2024.1"}, doc.Packages[0].Distribution)
}

func TestRead_Unmatched(t *testing.T) {
	for purl, reason := range map[string]string{
		"":                                       "no package URL",
		"pkg:/@":                                 "not a package URL",
		"pkg:npm/lodash":                         "no version",
		"pkg:deb/debian/a@1?arch=source":         "source package",
		"pkg:rpm/redhat/a@1?arch=src":            "source package",
		"pkg:apk/a@1":                            "no distribution is known",
		"pkg:deb/nobody/a@1":                     "no distribution is known",
		"pkg:oci/a@sha256:abc":                   "no advisories are known",
		"pkg:generic/a@1":                        "no advisories are known",
		"pkg:hex/acme/a@1":                       "an organization",
		"pkg:conan/a@1?user=acme&channel=stable": "an organization",
		"pkg:npm/a@1?repository_url=https://npm.example.org":               "not from the ecosystem's public registry",
		"pkg:pypi/a@1?repository_url=https%3A%2F%2Fu:p@pypi.example.org/x": "https://pypi.example.org/x",
	} {
		t.Run(purl, func(t *testing.T) {
			doc, err := Read(CycloneDXJSON, cyclone1(purl), nil)
			require.NoError(t, err)
			require.Empty(t, doc.Packages)
			require.Len(t, doc.Unmatched, 1)
			require.Contains(t, doc.Unmatched[0].Reason, reason)
		})
	}
}

const spdxTags = "SPDXVersion: SPDX-2.3\nPackageName: a\nSPDXID: SPDXRef-a\nPackageVersion: 1.0.0\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1.0.0\n"

// TestRead_Formats reads one package in every format and encoding.
func TestRead_Formats(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		text   string
	}{
		"cyclonedx_json":        {CycloneDXJSON, `{"bomFormat":"CycloneDX","metadata":{"tools":{"components":[{"name":"t"}]}},"components":[{"type":"library","name":"a","version":1.0,"purl":"pkg:npm/a@1.0.0"}]}`},
		"cyclonedx_file":        {CycloneDXJSON, `{"bomFormat":"CycloneDX","components":[{"type":"file","name":"a","purl":"pkg:npm/a@1.0.0"},{"type":"file","name":"b"}]}`},
		"cyclonedx_subject":     {CycloneDXJSON, `{"bomFormat":"CycloneDX","metadata":{"component":{"type":"library","name":"a","purl":"pkg:npm/a@1.0.0"}}}`},
		"cyclonedx_application": {CycloneDXJSON, `{"bomFormat":"CycloneDX","metadata":{"component":{"type":"application","name":"b","purl":"pkg:npm/b@1.0.0"}},"components":[{"type":"library","name":"a","purl":"pkg:npm/a@1.0.0"}]}`},
		"cyclonedx_xml":         {CycloneDXXML, `<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"><name>é</name><purl>pkg:npm/a@1.0.0</purl></component></components></bom>`},
		"spdx_json":             {SPDXJSON, `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"a","name":"a","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1.0.0"}]}]}`},
		"spdx_iri":              {SPDXJSON, `{"spdxVersion":"SPDX-2.2","packages":[{"SPDXID":"a","name":"a","versionInfo":"NOASSERTION","externalRefs":[{"referenceType":"http://spdx.org/rdf/references/purl","referenceLocator":"pkg:npm/a@1.0.0"}]}]}`},
		"spdx_tags":             {SPDXTagValue, spdxTags},
		"spdx3":                 {SPDXJSON, `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{"type":"SpdxDocument","spdxId":"d","rootElement":["r"]},{"type":"software_Package","spdxId":"r","name":"root"},{"type":"software_Package","spdxId":"a","name":"a","software_packageVersion":"1.0.0","software_packageUrl":"pkg:npm/a@1.0.0"},{"type":"software_File","name":"f"}]}`},
		"spdx3_identifier":      {SPDXJSON, `{"@context":["https://spdx.org/rdf/3.0.0/spdx-context.jsonld"],"@graph":[{"type":"software_Package","name":"a","externalIdentifier":[{"externalIdentifierType":"cpe23","identifier":"x"},{"externalIdentifierType":"packageUrl","identifier":"pkg:npm/a@1.0.0"}]}]}`},
		"syft":                  {SyftJSON, `{"artifacts":[{"name":"a","version":"1.0.0","purl":"pkg:npm/a@1.0.0","locations":[{"path":"/app/package.json"}]}],"distro":{},"descriptor":{"name":"syft"},"schema":{"version":"16.0.0"}}`},
		"github_export":         {GitHubSnapshot, `{"sbom":{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"a","name":"a","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1.0.0"}]}]}}`},
		"github_snapshot":       {GitHubSnapshot, `{"version":0,"detector":{"name":"d"},"manifests":{"package-lock.json":{"file":{"source_location":"package-lock.json"},"resolved":{"a":{"package_url":"pkg:/npm/a@1.0.0"}}}}}`},
	} {
		for encoding, text := range encodings(c.text) {
			t.Run(name+"_"+encoding, func(t *testing.T) {
				doc, err := Read(c.format, []byte(text), nil)
				require.NoError(t, err)
				require.Empty(t, doc.Unmatched)
				require.Len(t, doc.Packages, 1)
				require.Equal(t, "npm a 1.0.0", line(doc.Packages[0]))
			})
		}
		if c.format != CycloneDXXML && c.format != SPDXTagValue {
			t.Run(name+"_detected", func(t *testing.T) {
				f, ok := Detect([]byte(c.text))
				require.True(t, ok)
				require.Equal(t, c.format, f)
			})
		}
	}
}

// encodings returns a text in each encoding.
func encodings(text string) map[string]string {
	wide := func(order binary.AppendByteOrder, text string) string {
		var out []byte
		for _, u := range utf16.Encode([]rune(text)) {
			out = order.AppendUint16(out, u)
		}
		return string(out)
	}
	return map[string]string{
		"utf8": text, "bom": "\ufeff" + text, "crlf": strings.ReplaceAll(text, "\n", "\r\n"),
		"utf16le": wide(binary.LittleEndian, "\ufeff"+text), "utf16be": wide(binary.BigEndian, "\ufeff"+text),
		"utf16le_without_bom": wide(binary.LittleEndian, text),
	}
}

func TestRead_Latin1(t *testing.T) {
	text := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><bom xmlns=\"http://cyclonedx.org/schema/bom/1.4\"><components><component><name>caf\xe9</name><version>1</version></component></components></bom>"
	doc, err := Read(CycloneDXXML, []byte(text), nil)
	require.NoError(t, err)
	require.Equal(t, []clair.Unmatched{{Package: "café", Version: "1", Reason: "it has no package URL"}}, doc.Unmatched)
}

// TestRead_Malformed reads documents that no tool writes in good faith.
func TestRead_Malformed(t *testing.T) {
	long := strings.Repeat("9", 10_000)
	for name, text := range map[string]string{
		"nothing": "", "bom_alone": "\ufeff", "utf16_bom_alone": "\xff\xfe", "cut_utf16": "\xff\xfe{", "brace": "{", "empty": "{}", "null": "null", "list": "[]",
		"deep_json": strings.Repeat("[", 20000), "deep_xml": strings.Repeat("<a>", 20000), "spdx3_without_graph": `{"@context":"https://spdx.org/x"}`,
		"envelope_of_nothing": `{"sbom":{}}`, "syft_of_nothing": `{"artifacts":[]}`,
	} {
		for _, f := range []Format{CycloneDXJSON, CycloneDXXML, SPDXJSON, SPDXTagValue, SyftJSON, GitHubSnapshot, "x"} {
			t.Run(fmt.Sprintf("%s_%s", name, f), func(t *testing.T) {
				_, err := Read(f, []byte(text), nil)
				require.ErrorIs(t, err, clair.ErrInvalid)
			})
		}
	}
	doc, err := Read(CycloneDXJSON, cyclone1("pkg:npm/a@"+long), nil)
	require.NoError(t, err)
	require.Zero(t, len(doc.Packages))
	require.Less(t, len(doc.Unmatched[0].Package), 2000)
}
