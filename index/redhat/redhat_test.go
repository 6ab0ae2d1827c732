package redhat

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
)

func TestCPE(t *testing.T) {
	for name, want := range map[string]string{
		"rhel-8-for-x86_64-baseos-rpms":                          "cpe:/o:redhat:enterprise_linux:8::baseos",
		"rhel-9-for-aarch64-appstream-rpms":                      "cpe:/a:redhat:enterprise_linux:9::appstream",
		"rhel-10-for-x86_64-baseos-rpms":                         "cpe:/o:redhat:enterprise_linux:10::baseos",
		"rhel-8-for-x86_64-highavailability-rpms":                "cpe:/a:redhat:enterprise_linux:8::highavailability",
		"rhel-8-for-x86_64-rt-rpms":                              "cpe:/a:redhat:enterprise_linux:8::realtime",
		"rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_6":             "cpe:/o:redhat:rhel_eus:8.6::baseos",
		"rhel-9-for-x86_64-appstream-e4s-rpms__9_DOT_2":          "cpe:/a:redhat:rhel_e4s:9.2::appstream",
		"rhel-8-for-x86_64-sap-netweaver-rpms":                   "cpe:/a:redhat:enterprise_linux:8::sap",
		"ubi-8-baseos-rpms":                                      "cpe:/o:redhat:enterprise_linux:8::baseos",
		"ubi-9-for-x86_64-appstream-rpms":                        "cpe:/a:redhat:enterprise_linux:9::appstream",
		"ubi-9-codeready-builder-rpms":                           "cpe:/a:redhat:enterprise_linux:9::crb",
		"codeready-builder-for-rhel-8-x86_64-rpms":               "cpe:/a:redhat:enterprise_linux:8::crb",
		"codeready-builder-for-rhel-8-x86_64-eus-rpms__8_DOT_6":  "cpe:/a:redhat:rhel_eus:8.6::crb",
		"rhel-7-server-rpms":                                     "cpe:/o:redhat:enterprise_linux:7::server",
		"rhel-7-server-optional-rpms":                            "cpe:/o:redhat:enterprise_linux:7::server",
		"rhel-7-server-extras-rpms":                              "cpe:/a:redhat:rhel_extras:7",
		"rhocp-4.12-for-rhel-8-x86_64-rpms":                      "cpe:/a:redhat:openshift:4.12::el8",
		"ansible-automation-platform-2.4-for-rhel-9-x86_64-rpms": "cpe:/a:redhat:ansible_automation_platform:2.4::el9",
		"fast-datapath-for-rhel-8-x86_64-rpms":                   "cpe:/o:redhat:enterprise_linux:8::fastdatapath",
		"something-else":                                         "",
		"unknown-1.0-for-rhel-8-x86_64-rpms":                     "",
		"rhel-8-for-x86_64-unknown-rpms":                         "",
		"":                                                       "",
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, want, CPE(name)) })
	}
}

// read runs the reader that wants a path.
func read(t *testing.T, path, text string) *reader.Found {
	t.Helper()
	for _, r := range Readers() {
		if r.Wants(path, 0o644) {
			out := &reader.Found{}
			require.NoError(t, r.Run(t.Context(), &reader.File{Path: path, Size: int64(len(text)), ReaderAt: bytes.NewReader([]byte(text))}, out))
			return out
		}
	}
	require.Fail(t, "no reader", path)
	return nil
}

func TestContentSets(t *testing.T) {
	for _, path := range []string{"root/buildinfo/content_manifests/a-1-2.json", "usr/share/buildinfo/content-sets.json"} {
		out := read(t, path, `{"metadata":{},"content_sets":["ubi-8-baseos-rpms","own-rpms"]}`)
		require.Equal(t, []clair.Repository{{
			Name: "cpe:/o:redhat:enterprise_linux:8::baseos", Key: clair.RHELKey, CPE: "cpe:2.3:o:redhat:enterprise_linux:8:*:baseos:*:*:*:*:*",
		}}, out.Repositories)
		require.Len(t, out.Unmatched, 1)
		require.Equal(t, "own-rpms", out.Unmatched[0].Package)
	}
}

func TestLabels(t *testing.T) {
	const whole = `{"name":"acme-1/tool-rhel9","org.opencontainers.image.created":"2025-04-14T02:14:26Z","cpe":"cpe:/a:redhat:acme:1.2::el9","architecture":"x86_64"}`
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"whole":           {whole, 1},
		"quoted_twice":    {`{"name":"\"a\"","org.opencontainers.image.created":"2025-04-14T02:14:26Z","cpe":"\"cpe:/a:redhat:acme:1.2::el9\"","architecture":"x86_64"}`, 1},
		"without_cpe":     {`{"name":"ubi9","org.opencontainers.image.created":"2025-04-14T02:14:26Z","architecture":"x86_64"}`, 0},
		"without_date":    {`{"name":"ubi9","cpe":"cpe:/a:redhat:acme:1.2::el9","architecture":"x86_64"}`, 0},
		"bad_date":        {`{"name":"ubi9","org.opencontainers.image.created":"yesterday","cpe":"cpe:/a:redhat:acme:1.2::el9","architecture":"x86_64"}`, 0},
		"byte_order_mark": {"\ufeff" + whole, 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.Len(t, read(t, "usr/share/buildinfo/labels.json", c.text).Packages, c.want)
		})
	}
	out := read(t, "root/buildinfo/labels.json", whole)
	require.Equal(t, "1744596866", out.Packages[0].Version)
	require.Equal(t, "rhctag:1744596866.0.0.0.0.0.0.0.0.0", out.Packages[0].NormalizedVersion)
	require.Equal(t, &clair.Repository{
		Name: "cpe:2.3:a:redhat:acme:1.2:*:el9:*:*:*:*:*", Key: clair.RHCCKey, CPE: "cpe:2.3:a:redhat:acme:1.2:*:el9:*:*:*:*:*",
	}, out.Catalog)
}

func TestDockerfile(t *testing.T) {
	const text = "FROM x\n# LABEL name=\"no\"\nLABEL com.redhat.component=tool-container \\\n      name=\"acme/tool-rhel8\" \\\n      architecture='x86_64'\nLABEL summary=\"a \\\"b\\\" c\"\nRUN true\n"
	out := read(t, "root/buildinfo/Dockerfile-acme-tool-rhel8-v3.5.5-4", text)
	require.Len(t, out.Packages, 1)
	p := out.Packages[0]
	require.Equal(t, []string{"acme/tool-rhel8", "v3.5.5-4", "x86_64", "rhctag:3.5.0.0.0.0.0.0.0.0", "tool-container"},
		[]string{p.Name, p.Version, p.Arch, p.NormalizedVersion, p.Source.Name})
	require.Equal(t, clair.GoldRepository, out.Catalog.Name)
	for _, text := range []string{"", "FROM x\n", "LABEL name=a\n", "LABEL name=\"", "LABEL = =\\"} {
		require.Empty(t, read(t, "root/buildinfo/Dockerfile-a-1-2", text).Packages)
	}
}
