package updater

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
	"oriel/updater/alpine"
	"oriel/updater/debian"
	"oriel/updater/oval"
	"oriel/updater/redhat"
	"oriel/updater/updateinfo"
)

// formats are the parsers of this package over bytes, with a fixture of each.
func formats(t testing.TB) map[string]struct {
	fixture []byte
	parse   func([]byte) feed.Rows
} {
	type format = struct {
		fixture []byte
		parse   func([]byte) feed.Rows
	}
	oval := func(b []byte) feed.Rows { return oval.Parse(feedtest.Opener(b), distro.Release{}) }
	return map[string]format{
		"alpine":      {feedtest.Fixture(t, "alpine", "v3.9-main.json"), func(b []byte) feed.Rows { return alpine.Parse(bytes.NewReader(b), distro.Release{}) }},
		"debian":      {feedtest.Fixture(t, "debian", "tracker.json"), func(b []byte) feed.Rows { return debian.Parse(bytes.NewReader(b)) }},
		"oval/oracle": {feedtest.Fixture(t, "oval", "oracle.xml"), oval},
		"oval/ubuntu": {feedtest.Fixture(t, "oval", "ubuntu.xml"), oval},
		"oval/suse":   {feedtest.Fixture(t, "oval", "suse.xml"), oval},
		"redhat-vex":  {feedtest.ArchiveOf(t, "2022/cve-2022-0778.json", string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))), func(b []byte) feed.Rows { return redhat.ParseArchive(bytes.NewReader(b)) }},
		"updateinfo":  {feedtest.Fixture(t, "updateinfo", "amazon2.xml"), func(b []byte) feed.Rows { return updateinfo.Parse(bytes.NewReader(b), distro.Release{}) }},
	}
}

// TestParse_Garbled cuts each format's fixture short at every byte and
// garbles it: the feed must end with an error, or still have lost no row.
func TestParse_Garbled(t *testing.T) {
	for name, f := range formats(t) {
		t.Run(name, func(t *testing.T) {
			whole, _, err := feedtest.Collect(f.parse(f.fixture))
			require.NoError(t, err)
			require.NotEmpty(t, whole)
			end := len(bytes.TrimRight(bytes.TrimSpace(f.fixture), "\x00"))
			step := 1 + end/2000
			for n := 0; n < end; n += step {
				_, _, err := feedtest.Collect(f.parse(f.fixture[:n]))
				require.Error(t, err, "cut at byte %d of %d", n, end)
			}
			for _, b := range [][]byte{nil, []byte("<html><body>Moved</body></html>"), []byte(`{"error":"busy"}`), []byte("[]"), []byte("null"), {0x1f, 0x8b}} {
				found, _, err := feedtest.Collect(f.parse(b))
				require.Error(t, err, "%q", b)
				require.Empty(t, found)
			}
			if name == "redhat-vex" {
				return // what follows the end of a tar is nobody's
			}
			_, _, err = feedtest.Collect(f.parse(append(slices.Clone(f.fixture[:end]), "{"...)))
			require.Error(t, err, "something follows the end")
		})
	}
}

// TestParse_Stop checks that a parser ends when nobody wants more rows.
func TestParse_Stop(t *testing.T) {
	for name, f := range formats(t) {
		t.Run(name, func(t *testing.T) {
			n := 0
			for _, err := range f.parse(f.fixture) {
				require.NoError(t, err)
				n++
				break
			}
			require.Equal(t, 1, n)
		})
	}
}

func TestAlpine(t *testing.T) {
	f := formats(t)["alpine"]
	found, skipped, err := feedtest.Collect(f.parse(f.fixture))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Equal(t, []string{
		"alpine:3.9 CVE-2018-19961 source:xen <4.11.1-r1 Unknown [XSA-275]",
		"alpine:3.9 CVE-2018-19962 source:xen <4.11.1-r1 Unknown [XSA-275]",
		"alpine:3.9 CVE-2019-14697 source:musl <1.1.20-r5 Unknown",
		"alpine:3.9 CVE-2019-1547 source:openssl <1.1.1d-r0 Unknown",
		"alpine:3.9 CVE-2019-1549 source:openssl <1.1.1d-r0 Unknown",
		"alpine:3.9 XSA-293 source:xen <4.11.1-r1 Unknown",
		"alpine:3.9 XSA-294 source:xen <4.11.1-r1 Unknown",
	}, found)
}

// TestAlpine_Releases has the ways in which a database tells its release.
func TestAlpine_Releases(t *testing.T) {
	const packages = `"packages":[{"pkg":{"name":"a","secfixes":{"1-r0":["CVE-2024-0001"]}}}]`
	for doc, want := range map[string]string{
		`{"urlprefix":"https://packages.wolfi.dev","reponame":"os",` + packages + `}`:                   "wolfi",
		`{"urlprefix":"https://packages.cgr.dev","reponame":"chainguard",` + packages + `}`:             "chainguard",
		`{"distroversion":"edge","urlprefix":"https://dl-cdn.alpinelinux.org/alpine",` + packages + `}`: "alpine:edge",
		`{` + packages + `,"distroversion":"v3.22"}`:                                                    "alpine:3.22",
	} {
		found, skipped, err := feedtest.Collect(alpine.Parse(strings.NewReader(doc), distro.Release{}))
		require.NoError(t, err)
		require.Empty(t, skipped)
		require.Equal(t, []string{want + " CVE-2024-0001 source:a <1-r0 Unknown"}, found)
	}
	found, _, err := feedtest.Collect(alpine.Parse(strings.NewReader(`{`+packages+`}`), feedtest.Platform(t, "wolfi")))
	require.NoError(t, err)
	require.Equal(t, []string{"wolfi CVE-2024-0001 source:a <1-r0 Unknown"}, found)

	_, _, err = feedtest.Collect(alpine.Parse(strings.NewReader(`{`+packages+`}`), distro.Release{}))
	require.ErrorIs(t, err, clair.ErrInvalid)
}

func TestAlpine_BadRecords(t *testing.T) {
	const doc = `{"distroversion":"v3.18","packages":[{"pkg":{"secfixes":{}}},{"pkg":{"name":"a","secfixes":{"1-r0":"CVE-2024-0001"}}},
		{"pkg":{"name":"b","secfixes":{"1-r0":null,"2-r0":["(nothing)","CVE 2018-16859"]}}}]}`
	found, skipped, err := feedtest.Collect(alpine.Parse(strings.NewReader(doc), distro.Release{}))
	require.NoError(t, err)
	require.Len(t, skipped, 4)
	require.Equal(t, []string{"alpine:3.18 CVE-2018-16859 source:b <2-r0 Unknown"}, found)
}

func TestDebian(t *testing.T) {
	f := formats(t)["debian"]
	found, skipped, err := feedtest.Collect(f.parse(f.fixture))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Equal(t, []string{
		"debian:11 CVE-2022-0778 source:openssl <1.1.1k-1+deb11u2 Unknown",
		"debian:12 CVE-2010-4756 source:glibc Negligible",
		"debian:12 CVE-2022-0778 source:openssl <1.1.1n-1 Unknown",
		"debian:unstable CVE-2010-4756 source:glibc Negligible",
		"debian:unstable CVE-2024-3094 source:xz-utils <5.6.1+really5.4.5-1 Unknown",
	}, found)
}

func TestDebian_BadRecords(t *testing.T) {
	const doc = `{"a":{"CVE-2024-0001":{"releases":{"bookworm":{"status":"resolved"},"nowhere":{"status":"open"},"trixie":{"status":"odd"},
		"bullseye":{"status":"resolved","fixed_version":":"},"buster":{"status":"undetermined","urgency":"high**"}}},
		"CVE-2024-0002":[],"CVE-2024-0003":{"releases":{}}}}`
	found, skipped, err := feedtest.Collect(debian.Parse(strings.NewReader(doc)))
	require.NoError(t, err)
	require.Len(t, skipped, 5, "%q", skipped)
	require.Equal(t, []string{
		"debian:10 CVE-2024-0001 source:a High",
		"debian:11 CVE-2024-0001 source:a <: Unknown", // kept: matching says that it cannot be compared
	}, found)
}

func TestOVAL(t *testing.T) {
	for name, want := range map[string][]string{
		"oval/oracle": {
			"ol:5 CVE-2014-6271 binary:bash <0:3.2-33.el5.1 Critical [ELSA-2014-1293]",
			"ol:7 CVE-2014-6271 binary:bash <0:4.2.45-5.el7_0.2 equals(x86_64) Critical [ELSA-2014-1293]",
			"ol:7 CVE-2014-6271 binary:bash-doc <0:4.2.45-5.el7_0.2 equals(x86_64) Critical [ELSA-2014-1293]",
		},
		"oval/ubuntu": {
			"ubuntu:22.04 CVE-2022-3602 binary:libssl3 <0:3.0.2-0ubuntu1.7 High",
			"ubuntu:22.04 CVE-2022-3602 binary:nodejs High",
			"ubuntu:22.04 CVE-2022-3602 binary:openssl <0:3.0.2-0ubuntu1.7 High",
		},
		"oval/suse": {
			"sles:15.3 CVE-2022-0778 binary:libopenssl1_1 <0:1.1.1d-11.43.1 pattern match(aarch64|x86_64) High",
			"sles:15.3 CVE-2022-0778 binary:openssl-1_0_0 High",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := formats(t)[name]
			found, skipped, err := feedtest.Collect(f.parse(f.fixture))
			require.NoError(t, err)
			require.Empty(t, skipped)
			require.Equal(t, want, found)
		})
	}
}

// TestOVAL_Hostile has documents that would make a parser work without end.
func TestOVAL_Hostile(t *testing.T) {
	bomb := `<?xml version="1.0"?><!DOCTYPE oval_definitions [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` +
		`<oval_definitions><definitions><definition id="1"><metadata><title>&b;</title></metadata></definition></definitions></oval_definitions>`
	_, _, err := feedtest.Collect(oval.Parse(feedtest.Opener([]byte(bomb)), feedtest.Platform(t, "sles:15")))
	require.ErrorIs(t, err, clair.ErrInvalid)

	long := "<oval_definitions><rpminfo_object id=\"1\"><name>" + strings.Repeat("a", feed.MaxElement+1<<16) + "</name></rpminfo_object></oval_definitions>"
	_, _, err = feedtest.Collect(oval.Parse(feedtest.Opener([]byte(long)), feedtest.Platform(t, "sles:15")))
	require.ErrorIs(t, err, clair.ErrTooLarge)

	deep := "<oval_definitions><definition id=\"1\">" + strings.Repeat("<criteria>", 20_000)
	_, _, err = feedtest.Collect(oval.Parse(feedtest.Opener([]byte(deep)), feedtest.Platform(t, "sles:15")))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	all := formats(f)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		f.Add(uint8(i), all[name].fixture)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		for v, err := range all[names[int(which)%len(names)]].parse(b) {
			if err == nil && (v.Name == "" || v.Package.Name == "" || v.Package.Kind == "") {
				t.Fatalf("a row without a name: %+v %+v", v, v.Package)
			}
		}
	})
}
