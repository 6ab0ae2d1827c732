package purl_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/purl"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]purl.PURL{
		"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12": {Type: "deb", Namespace: "debian", Name: "libstdc++6", Version: "12.2.0-14",
			Qualifiers: url.Values{"arch": {"amd64"}, "distro": {"debian-12"}}},
		"pkg:deb/debian/base-files@9.9+deb9u13?epoch=1": {Type: "deb", Namespace: "debian", Name: "base-files", Version: "9.9+deb9u13", Qualifiers: url.Values{"epoch": {"1"}}},
		"pkg:golang/github.com/Azure/go-autorest@v0.6.0#sub": {Type: "golang", Namespace: "github.com/Azure", Name: "go-autorest", Version: "v0.6.0",
			Qualifiers: url.Values{}, Subpath: "sub"},
		"pkg:npm/%40angular/core@1.0":         {Type: "npm", Namespace: "@angular", Name: "core", Version: "1.0", Qualifiers: url.Values{}},
		"pkg:npm/@angular/core":               {Type: "npm", Namespace: "@angular", Name: "core", Qualifiers: url.Values{}},
		"pkg:PyPI/Django@4.0?x=a%2Bb":         {Type: "pypi", Name: "Django", Version: "4.0", Qualifiers: url.Values{"x": {"a+b"}}},
		"pkg:golang/cmd/asm?type=tool":        {Type: "golang", Namespace: "cmd", Name: "asm", Qualifiers: url.Values{"type": {"tool"}}},
		"pkg:DEB/debian/libssl3@1?Arch=amd64": {Type: "deb", Namespace: "debian", Name: "libssl3", Version: "1", Qualifiers: url.Values{"arch": {"amd64"}}},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := purl.Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParse_Invalid(t *testing.T) {
	for _, text := range []string{"", "pkg:", "pkg:npm", "pkg:npm/", "npm/x", "pkg:npm/%zz", "pkg:npm/x?a=%zz", "pkg:/@", "pkg:npm/x#%zz"} {
		t.Run(text, func(t *testing.T) {
			_, err := purl.Parse(text)
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pkg:deb/debian/x@1?a=b#c")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := purl.Parse(s); err == nil {
			require.NotEmpty(t, p.Name)
		}
	})
}
