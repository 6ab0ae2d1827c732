package app

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// builtInPlaces are places that the built-in catalogue must have, with the feeds
// of each.
var builtInPlaces = map[string]string{
	"go": "osv/Go", "pypi": "osv/PyPI", "npm": "osv/npm", "maven": "osv/Maven", "rubygems": "osv/RubyGems", "crates.io": "osv/crates.io",
	"nuget": "osv/NuGet", "packagist": "osv/Packagist", "pub": "osv/Pub", "hex": "osv/Hex", "cran": "osv/CRAN", "hackage": "osv/Hackage",
	"conan": "osv/ConanCenter", "swift": "osv/SwiftURL", "julia": "osv/Julia", "github-actions": "osv/GitHub-Actions",

	"alpine:3.18": "alpine/v3.18-main alpine/v3.18-community", "alpine:3.24": "alpine/v3.24-main alpine/v3.24-community",
	"alpine:edge": "alpine/edge-main alpine/edge-community", "wolfi": "wolfi", "chainguard": "chainguard", "minimos": "minimos",
	"debian:12": "debian", "debian:10": "debian debian/elts", "ubuntu:24.04": "ubuntu", "rhel:9": "redhat",
	"almalinux:9": "osv/AlmaLinux", "rocky:9": "osv/Rocky", "sles:15.5": "osv/SUSE", "sle-micro:5.5": "osv/SUSE",
	"opensuse-leap:15.6": "osv/openSUSE", "opensuse-tumbleweed": "osv/openSUSE", "mageia:9": "osv/Mageia", "openeuler:24.03-LTS": "osv/openEuler",
	"alpaquita:23": "osv/Alpaquita", "ol:9": "oracle/9", "photon:5": "photon/5", "azurelinux:3": "azurelinux/3", "mariner:2": "mariner/2",
	"amzn:2023": "amazon/2023 amazon/2023-aarch64", "amzn:2": "amazon/2 amazon/2-aarch64", "amzn:2018.03": "amazon/2018.03",
	"fedora:43": "fedora/43 fedora/43-aarch64", "cocoapods": "", "slackware:15.0": "",
}

func TestCatalogue_BuiltIn(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, err := Load("", nil, assets(t))
	require.NoError(t, err)
	far := httptest.NewServer(http.HandlerFunc(serveSample))
	defer far.Close()
	client := fetch.New(fetch.Config{})
	defer client.CloseIdleConnections()
	for place, want := range builtInPlaces {
		t.Run(place, func(t *testing.T) {
			var got []string
			for _, f := range cfg.Catalogue.Auto(place) {
				got = append(got, f.Name)
				if f.Format == "redhat-vex" { // whose directory has a test of its own
					continue
				}
				require.True(t, strings.HasPrefix(f.URL, "https://") || f.Name == "amazon/2018.03", f.URL)
				require.NotContains(t, f.URL, feed.ReleaseVariable)
				f.URL = far.URL + "/" + strings.ReplaceAll(place, ":", "=") + "/" + f.Format + "/" + f.Text(feed.ArchOption) + "?" + f.URL
				if strings.HasSuffix(f.URL, "mirror.list") || strings.HasSuffix(f.URL, "x86_64/") || strings.HasSuffix(f.URL, "aarch64/") {
					f.URL, _, _ = strings.Cut(f.URL, "?")
					f.URL += "/"
				}
				requireRowOf(t, client, f, place)
			}
			require.Equal(t, want, strings.Join(got, " "))
		})
	}
	for _, f := range cfg.Feeds {
		if format, _ := formats().Lookup(f.Format); format.Kind == clair.KindEnrichment {
			require.Len(t, append(cfg.Catalogue.Auto(f.Format), f), map[bool]int{true: 2, false: 1}[f.Auto], f.Name)
			continue
		}
		require.True(t, f.Auto, "%s is fetched before anything needs it", f.Name)
	}
}

// requireRowOf fetches a feed and requires an advisory for the place in it.
func requireRowOf(t *testing.T, c *fetch.Client, f feed.Feed, place string) {
	t.Helper()
	u, err := formats().New(f, c)
	require.NoError(t, err)
	body, _, err := u.Fetch(t.Context(), "")
	require.NoError(t, err)
	defer body.Close()
	rows := 0
	for v, err := range u.Parse(t.Context(), body) {
		require.NoError(t, err, f.Name)
		if release, ok := distro.ReleaseOf(v.Dist); ok {
			require.Equal(t, place, release.Platform, f.Name)
		} else {
			require.Equal(t, place, v.Repo.Name, f.Name)
		}
		require.Contains(t, f.Text(feed.ArchOption), v.Package.Arch)
		rows++
	}
	require.Equal(t, 1, rows, f.Name)
}

// serveSample serves a feed of one record in the format and for the place that
// the path names.
func serveSample(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	place, arch := strings.ReplaceAll(parts[0], "=", ":"), parts[2]
	switch parts[1] {
	case "osv":
		w.Write(osvSample(place))
	case "alpine":
		fmt.Fprintf(w, `{"distroversion":%q,"reponame":"main","urlprefix":%q,"packages":[{"pkg":{"name":"zlib","secfixes":{"1.2.12-r0":["CVE-2018-25032"]}}}]}`,
			alpineBranch(place), "https://packages."+place+".example")
	case "debian":
		release, _ := distro.ReleaseByName(place)
		fmt.Fprintf(w, `{"zlib":{"CVE-2018-25032":{"releases":{%q:{"status":"resolved","fixed_version":"1:1.2.11.dfsg-1+deb10u1","urgency":"not yet assigned"}}}}}`, release.CodeName())
	case "oval":
		fmt.Fprintf(w, ovalSample, ovalPlatform(place))
	case "updateinfo":
		serveRepository(w, r.URL.Path, place, arch)
	}
}

// serveRepository serves the index of a repository and its updateinfo.
func serveRepository(w io.Writer, path, place, arch string) {
	title := ""
	if number, ok := strings.CutPrefix(place, "amzn:"); ok {
		title = "Amazon Linux " + number + " - ALAS-1"
	}
	text := fmt.Sprintf(`<updates><update type="security"><id>X-2022-1</id><title>%s</title><severity>important</severity>
		<references><reference href="https://x.example" id="2067945" title="CVE-2018-25032 zlib: a flaw" type="bugzilla"/></references>
		<pkglist><collection><name>all</name><package name="zlib" version="1.2.11" release="33" epoch="0" arch="%s"/></collection></pkglist></update></updates>`, title, arch)
	if strings.HasSuffix(path, "/repomd.xml") {
		fmt.Fprintf(w, `<repomd><data type="updateinfo"><checksum type="sha256">%x</checksum><location href="repodata/updateinfo.xml"/></data></repomd>`,
			sha256.Sum256([]byte(text)))
		return
	}
	io.WriteString(w, text)
}

// osvSample is an archive with a record of the place's ecosystem.
func osvSample(place string) []byte {
	ecosystem := ""
	for _, e := range clair.Ecosystems() {
		if e.Repository == place {
			ecosystem = e.OSV
		}
	}
	if id, number, _ := strings.Cut(place, ":"); ecosystem == "" {
		ecosystem = map[string]string{
			"almalinux": "AlmaLinux:", "rocky": "Rocky Linux:", "sles": "SUSE:Linux Enterprise Server ", "sle-micro": "SUSE:Linux Enterprise Micro ",
			"opensuse-leap": "openSUSE:Leap ", "opensuse-tumbleweed": "openSUSE:Tumbleweed", "mageia": "Mageia:", "openeuler": "openEuler:",
			"alpaquita": "Alpaquita:", "ubuntu": "Ubuntu:",
		}[id] + strings.Replace(strings.Replace(number, "15.5", "15 SP5", 1), "24.04", "24.04:LTS", 1)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("X-1.json")
	if err == nil {
		_, err = fmt.Fprintf(f, `{"id":"X-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":"zlib"},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2.12"}]}]}]}`, ecosystem)
	}
	if err != nil || z.Close() != nil {
		return nil
	}
	return b.Bytes()
}

func alpineBranch(place string) string {
	if _, number, ok := strings.Cut(place, ":"); ok && number != "edge" {
		return "v" + number
	} else if ok {
		return number
	}
	return place
}

// ovalPlatform is how vendors name their release in a definition.
func ovalPlatform(place string) string {
	id, number, _ := strings.Cut(place, ":")
	return map[string]string{"ol": "Oracle Linux ", "photon": "Photon ", "azurelinux": "Azure Linux ", "mariner": "CBL-Mariner "}[id] + number
}

// ovalSample is a definition of an RPM. Its form is that of Photon's file.
const ovalSample = `<?xml version="1.0"?>
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" xmlns:linux="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux">
<definitions><definition class="patch" id="oval:x:def:1" version="1"><metadata><title>X-1 zlib</title><affected family="unix"><platform>%s</platform></affected>
<reference ref_id="CVE-2018-25032" ref_url="https://x.example" source="CVE"/><description>d</description></metadata>
<criteria operator="AND"><criterion comment="zlib is earlier than 0:1.2.12-1" test_ref="oval:x:tst:1"/></criteria></definition></definitions>
<tests><linux:rpminfo_test check="at least one" comment="zlib is earlier than 0:1.2.12-1" id="oval:x:tst:1" version="1">
<linux:object object_ref="oval:x:obj:1"/><linux:state state_ref="oval:x:ste:1"/></linux:rpminfo_test></tests>
<objects><linux:rpminfo_object id="oval:x:obj:1" version="1"><linux:name>zlib</linux:name></linux:rpminfo_object></objects>
<states><linux:rpminfo_state id="oval:x:ste:1" version="1"><linux:evr datatype="evr_string" operation="less than">0:1.2.12-1</linux:evr></linux:rpminfo_state></states>
</oval_definitions>`
