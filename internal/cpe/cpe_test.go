package cpe_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/cpe"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"cpe:/o:redhat:enterprise_linux:8::baseos":            "cpe:2.3:o:redhat:enterprise_linux:8:*:baseos:*:*:*:*:*",
		"cpe:/a:redhat:openshift:4.13::el9":                   "cpe:2.3:a:redhat:openshift:4.13:*:el9:*:*:*:*:*",
		"cpe:/a:redhat:openshift:4.*":                         "cpe:2.3:a:redhat:openshift:4.*:*:*:*:*:*:*:*",
		"cpe:/a:redhat:jboss_enterprise_brms_platform:5.3%2b": `cpe:2.3:a:redhat:jboss_enterprise_brms_platform:5.3\+:*:*:*:*:*:*:*`,
		"cpe:/a:hp:insight:7.4.0.1570::~~online~win2003~x64~": "cpe:2.3:a:hp:insight:7.4.0.1570:*:*:*:online:win2003:x64:*",
		"cpe:/o:redhat": "cpe:2.3:o:redhat:*:*:*:*:*:*:*:*:*",
		"cpe:2.3:a:redhat:enterprise_linux:8:*:appstream:*:*:*:*:*": "cpe:2.3:a:redhat:enterprise_linux:8:*:appstream:*:*:*:*:*",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := cpe.Parse(in)
			require.NoError(t, err)
			require.Equal(t, want, got.String())
		})
	}
}

func TestParse_Invalid(t *testing.T) {
	for _, in := range []string{"", "cpe:", "cpe:/", "cpe:/x:a:b", "cpe:/o:a b", "cpe:2.3:a:b", "cpe:/o:a:%zz", "redhat", "cpe:/a:b:c:d:e:f:g:h",
		"cpe:/%", "cpe:/a:%", "cpe:/a:%2", `cpe:2.3:a:b\\`, `cpe:2.3:a:b:*:*:*:*:*:*:*:*:*:*`, "cpe:2.3:x:b:*:*:*:*:*:*:*:*:*", "cpe:2.3:a::*:*:*:*:*:*:*:*:*",
		"cpe:/a:" + strings.Repeat("x", 10_000)} {
		t.Run(in, func(t *testing.T) {
			_, err := cpe.Parse(in)
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}

func TestName_Covers(t *testing.T) {
	for _, tt := range []struct {
		name, n, other string
		want           bool
	}{
		{"same", "cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/o:redhat:enterprise_linux:8::baseos", true},
		{"whole_product", "cpe:/o:redhat:enterprise_linux:8", "cpe:/o:redhat:enterprise_linux:8::baseos", true},
		{"minor_release", "cpe:/a:redhat:openshift:4", "cpe:/a:redhat:openshift:4.13::el9", true},
		{"wildcard", "cpe:/a:redhat:openshift:4.*", "cpe:/a:redhat:openshift:4.13", true},
		{"part_of_it", "cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/o:redhat:enterprise_linux:8", false},
		{"number_that_begins_alike", "cpe:/o:redhat:enterprise_linux:1", "cpe:/o:redhat:enterprise_linux:10", false},
		{"wildcard_in_the_middle", "cpe:/a:redhat:open*ft:4", "cpe:/a:redhat:openshift:4.13", false},
		{"wildcards", "cpe:/a:redhat:open*ft:4.*3", "cpe:/a:redhat:openshift:4.13", true},
		{"one_character", "cpe:/a:redhat:openshift:4.1?", "cpe:/a:redhat:openshift:4.13", true},
		{"one_character_too_few", "cpe:/a:redhat:openshift:4.1?", "cpe:/a:redhat:openshift:4.1", false},
		{"quoted_wildcard", `cpe:2.3:a:r:\*:*:*:*:*:*:*:*:*`, "cpe:/a:r:x", false},
		{"another_release", "cpe:/o:redhat:enterprise_linux:8", "cpe:/o:redhat:enterprise_linux:9::baseos", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := cpe.Parse(tt.n)
			require.NoError(t, err)
			other, err := cpe.Parse(tt.other)
			require.NoError(t, err)
			require.Equal(t, tt.want, n.Covers(other))
		})
	}
}

func TestName_Mainline(t *testing.T) {
	for in, want := range map[string]string{
		"cpe:/o:redhat:enterprise_linux:10.1":            "cpe:2.3:o:redhat:enterprise_linux:10:*:*:*:*:*:*:*",
		"cpe:/a:redhat:enterprise_linux:10.0::appstream": "cpe:2.3:a:redhat:enterprise_linux:10:*:appstream:*:*:*:*:*",
		"cpe:/o:redhat:enterprise_linux:9::baseos":       "cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*",
		"cpe:/o:redhat:enterprise_linux_eus:10.0":        "cpe:2.3:o:redhat:enterprise_linux_eus:10.0:*:*:*:*:*:*:*",
		"cpe:/a:redhat:openshift:4.13::el9":              "cpe:2.3:a:redhat:openshift:4.13:*:el9:*:*:*:*:*",
	} {
		t.Run(in, func(t *testing.T) {
			n, err := cpe.Parse(in)
			require.NoError(t, err)
			require.Equal(t, want, n.Mainline().String())
		})
	}
}

// FuzzParse: whatever is parsed has one spelling, and covers itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/%", `cpe:2.3:a:b\::*:*:*:*:*:*:*:*:*`, "cpe:/a:b:4.*", "cpe:/a:hp:insight:7::~~online~win2003~x64~"} {
		f.Add(s, "cpe:/a:redhat:openshift:4.13")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		n, err := cpe.Parse(a)
		if err != nil {
			return
		}
		again, err := cpe.Parse(n.String())
		require.NoError(t, err)
		require.Equal(t, n, again)
		require.True(t, n.Covers(n))
		n.Mainline()
		if other, err := cpe.Parse(b); err == nil {
			n.Covers(other)
		}
	})
}
