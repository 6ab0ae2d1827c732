package version

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
)

// schemes maps the ecosystems of fixture files.
var schemes = map[string]Scheme{
	"Alpine": Alpine, "Debian": Debian, "Red_Hat": RPM, "Go": "go", "npm": "npm", "semver": "crates.io", "PyPI": "pypi", "Maven": "maven",
	"RubyGems": "rubygems", "NuGet": "nuget", "Packagist": "packagist", "Pub": "pub", "CRAN": "cran", "Hackage": "hackage",
}

// contradictions are the numbers of comparisons that the fixtures answer
// twice. Packagist: once for PHP's version_compare and once for Composer, by
// which packages are ordered. Maven: 1.1.31_noneautotype and 1.1.31.sec10 were
// ordered differently by Maven 3.8.7 and by the release that made the larger
// set.
var contradictions = map[string]int{
	"Packagist__curated.txt": 4, "Packagist__generated.txt": 6, "Maven__reftool.txt": 1,
}

// notVersions are the numbers of comparisons with a text that is not a version
// of the ecosystem: names of branches, Python's versions before PEP 440, and
// texts that do not follow apk's grammar. The tools rank them somehow.
var notVersions = map[string]int{
	"Alpine__curated.txt": 33, "Maven__generated.txt": 12, "Maven__reftool.txt": 7, "Packagist__curated.txt": 2,
	"PyPI__curated.txt": 11, "PyPI__generated.txt": 69,
}

// TestCompare_Fixtures runs every comparison that the native tools answered.
func TestCompare_Fixtures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t), "versions", "*__*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			ecosystem, _, _ := strings.Cut(name, "__")
			scheme, ok := schemes[ecosystem]
			require.True(t, ok, "no scheme for %s", ecosystem)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			total, wrong, refused := 0, []string(nil), []string(nil)
			for line := range strings.Lines(string(text)) {
				f := strings.Fields(line)
				require.Len(t, f, 3, line)
				total++
				switch got, err := Compare(scheme, f[0], f[2]); {
				case err != nil:
					refused = append(refused, strings.TrimSpace(line))
				case "<=>"[got+1:got+2] != f[1]:
					wrong = append(wrong, strings.TrimSpace(line))
				}
			}
			t.Logf("%s: %d of %d, %d refused", name, total-len(wrong)-len(refused), total, len(refused))
			if len(refused) > notVersions[name] {
				t.Errorf("%d refused:\n%s", len(refused), strings.Join(refused[:min(20, len(refused))], "\n"))
			}
			if len(wrong) > contradictions[name] {
				t.Errorf("%d wrong:\n%s", len(wrong), strings.Join(wrong[:min(20, len(wrong))], "\n"))
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		scheme  Scheme
		a, b    string
		want    int
		because string
	}{
		{"go", "v1.2.3", "1.2.3", 0, "the v is spelling"},
		{"go", "v2.0.0+incompatible", "v2.0.0", 0, "build metadata has no precedence"},
		{"go", "v0.0.0-20200622213623-75b288015ac9", "v0.0.0-20201216223049-8b5274cf687f", -1, "pseudo-versions by date"},
		{"go", "v0.0.0-20201216223049-8b5274cf687f", "v0.1.0", -1, "before the first release"},
		{"go", "go1.21rc2", "1.21.0", -1, "a release candidate of the toolchain"},
		{"go", "go1.21rc2", "1.21.0-rc.3", -1, ""},
		{"go", "go1.21.3", "1.21.3", 0, ""},
		{"go", "go1.21", "1.21.0", 0, ""},
		{"go", "go1.26.8-X:nodwarf5", "1.26.8", 0, "an experiment"},
		{"go", "1.26.8-X:nodwarf5", "1.26.8", 0, "an experiment"},
		{"go", "go1.21.3 X:boringcrypto", "1.21.3", 0, "an experiment"},
		{"go", "go1.21.9 (Red Hat 1.21.9-2.el9_4)", "1.21.9", 0, "a vendor's build"},
		{"go", "go1.22.5-1", "1.22.5", 0, "a vendor's build"},
		{"go", "go1.19.5b5", "1.19.5", 0, "a build of BoringCrypto"},
		{"rubygems", "1.13.6-x86_64-linux", "1.13.6", 0, "a platform"},
		{"rubygems", "1.13.6-java", "1.13.6", 0, "a platform"},
		{"rubygems", "1.13.6-arm64-darwin", "1.13.6", 0, "a platform"},
		{"rubygems", "1.13.6-alpha", "1.13.6", -1, "a pre-release"},
		{"packagist", "6.x-dev", "6.999.0", 1, "the end of the branch"},
		{"packagist", "6.x-dev", "7.0.0", -1, "the end of the branch"},
		{"packagist", "1.0.x-dev", "1.0.9", 1, "the end of the branch"},
		{"packagist", "1.0.x-dev", "1.1.0", -1, "the end of the branch"},
		{"maven", "Hoxton.SR1", "Hoxton.SR2", -1, "a release train"},
		{"maven", "r09", "24.1.1", -1, "a word with a number"},
		{"maven", "beta-3", "1.0", -1, "a pre-release"},
		{"npm", " 1.2.3\n", "1.2.3", 0, "spaces are not part of it"},
		{Alpine, "1.9.5p2-r0", "1.9.5p3-r0", -1, "a number after a letter"},
		{Alpine, "1.9.5p2-r0", "1.9.5p10-r0", -1, "a number after a letter"},
		{"npm", "1.0.0-beta.11", "1.0.0-beta.2", 1, "numbers in pre-releases"},
		{"pypi", "1.0.post1", "1.0", 1, ""},
		{"pypi", "1.0rc1", "1.0", -1, ""},
		{"pypi", "1!0.1", "2.0", 1, "an epoch"},
		{"pypi", "1.0.dev1", "1.0a1", -1, ""},
		{"maven", "4.1.71.Final.1", "4.1.71.Final", 1, "Final is nothing, also in the middle"},
		{"maven", "1.0-rc1", "1.0", -1, ""},
		{"maven", "1-0.alpha", "1", -1, "a zero before a qualifier is nothing"},
		{"maven", "1..2", "1.0.2", 0, "an empty number is zero"},
		{"maven", "1.0-sp", "1.0", 1, "a service pack"},
		{"rubygems", "1.0-alpha", "1.0", -1, "a dash starts a pre-release"},
		{"rubygems", "1.0.rc-alpha", "1.0.rc", -1, ""},
		{"packagist", "1.10", "1.10.0", 0, "Composer pads"},
		{"packagist", "v1.0.0+build5", "1.0.0", 0, "Composer cuts build metadata"},
		{"packagist", "1.0.0-beta1", "1.0.0", -1, ""},
		{"nuget", "1.0.0.1", "1.0.0", 1, "a fourth number"},
		{"crates.io", "0.9.0", "0.10.0", -1, ""},
		{Debian, "1.0~rc1-1", "1.0-1", -1, "a tilde comes before the end"},
		{Debian, "1:1.0", "2.0", 1, "an epoch"},
		{RPM, "1.0-1.el9", "1.0-2.el9", -1, ""},
		{RPM, "1:1.0-1", "2.0-1", 1, "an epoch"},
		{Alpine, "1.2.3-r1", "1.2.3-r0", 1, ""},
		{Alpine, "1.2_rc1-r0", "1.2-r0", -1, ""},
	} {
		t.Run(fmt.Sprintf("%s/%s_%s", c.scheme, c.a, c.b), func(t *testing.T) {
			got, err := Compare(c.scheme, c.a, c.b)
			require.NoError(t, err)
			require.Equal(t, c.want, got, c.because)
			back, err := Compare(c.scheme, c.b, c.a)
			require.NoError(t, err)
			require.Equal(t, -c.want, back)
		})
	}
}

func TestParse_Refuses(t *testing.T) {
	noVersions := []string{
		"", "^4.17.21", "~1.2", ">=1", "<2", "=>1", "*", "1.*", "latest", "1.2.3 - 2.0.0", "1 || 2", "1.0, 2.0",
		"git+https://example.org/a.git#v1.0.0", "https://example.org/a-1.0.tgz", "file:../a-1.0", "workspace:^1.0.0", "npm:a@1.0.0",
		"[5,6)", "[5]", "${v}", "${project.version}-1", "unspecified", "master-2024", "dev-fix-1234", "main", "HEAD",
		"1.2.3" + strings.Repeat(".1", 5000),
	}
	for scheme := range parsers {
		for _, text := range noVersions {
			if scheme == RPM && !strings.ContainsAny(text, "<>=(){}[]$,*| ") && text != "" && len(text) < 100 {
				continue // rpm builds packages with such versions
			}
			t.Run(fmt.Sprintf("%s/%.20s", scheme, text), func(t *testing.T) {
				_, err := Parse(scheme, text)
				require.ErrorIs(t, err, clair.ErrInvalid)
			})
		}
	}
	for scheme, texts := range map[Scheme][]string{
		"go": {"(devel)"}, "npm": {"1.x", "1.2.x", "1.X"}, "packagist": {"dev-main", "dev-1.0", "1.0.x", "1.0 as 2.0"}, "github-actions": {"8f4b7f84864484a7bf31766abe9204da3cbe65b3", "release/v1"},
		Alpine: {"1.0.r1", "1-ruff"}, "pypi": {"1.0-bulbasaur"}, "nosuch": {"1"},
	} {
		for _, text := range texts {
			_, err := Parse(scheme, text)
			require.ErrorIs(t, err, clair.ErrInvalid, "%s %.20q", scheme, text)
		}
	}
	a, err := Parse("npm", "1.0.0")
	require.NoError(t, err)
	b, err := Parse("pypi", "1.0.0")
	require.NoError(t, err)
	_, err = a.Compare(b)
	require.ErrorIs(t, err, clair.ErrInvalid)
	_, err = Version{}.Compare(Version{})
	require.ErrorIs(t, err, clair.ErrInvalid)
}

func TestEveryEcosystemHasAScheme(t *testing.T) {
	for _, e := range clair.Ecosystems() {
		require.Contains(t, parsers, Scheme(e.Repository))
	}
}

func TestNormalize(t *testing.T) {
	for text, want := range map[string]string{
		"v1.2.3": "semver:0.1.2.3.0.0.0.0.0.0", "go1.21rc2": "semver:0.1.21.0.0.0.0.0.0.0", "0.0.0-20201216223049-8b5274cf687f": "semver:0.0.0.0.0.0.0.0.0.0",
		"1.2.3.4": "", "main": "", "1.99999999999.0": "",
	} {
		got, ok := Normalize("go", text)
		require.Equal(t, want, got.String(), text)
		require.Equal(t, want != "", ok, text)
	}
	_, ok := Normalize("maven", "1.2.3")
	require.False(t, ok)
}

// The numbers are those of claircore's pkg/pep440, whose Version method documents
// them.
func TestNormalize_PEP440(t *testing.T) {
	for text, want := range map[string]string{
		"2.25.0":               "0.2.25.0.0.0.0.0.0.0",
		"1":                    "0.1.0.0.0.0.0.0.0.0",
		"v1.2":                 "0.1.2.0.0.0.0.0.0.0",
		"1!2.0":                "1.2.0.0.0.0.0.0.0.0",
		"1.2.3.4.5.6":          "0.1.2.3.4.5.0.0.0.0",
		"1.0a2":                "0.1.0.0.0.0.-3.2.0.0",
		"1.0.beta_3":           "0.1.0.0.0.0.-2.3.0.0",
		"1.0RC1":               "0.1.0.0.0.0.-1.1.0.0",
		"1.0c":                 "0.1.0.0.0.0.-1.0.0.0",
		"1.0.post2":            "0.1.0.0.0.0.0.0.2.0",
		"1.0-2":                "0.1.0.0.0.0.0.0.2.0",
		"1.0.r4":               "0.1.0.0.0.0.0.0.4.0",
		"1.0rc1.dev5":          "0.1.0.0.0.0.-1.1.0.-5",
		"1.0.post1.dev3":       "0.1.0.0.0.0.0.0.1.-3",
		"1.0.dev7":             "0.1.0.0.0.0.-2147483641.0.0.0",
		"2.6.0+cu124":          "0.2.6.0.0.0.0.0.0.0",
		"20160721":             "0.20160721.0.0.0.0.0.0.0.0",
		" 1.0 ":                "0.1.0.0.0.0.0.0.0.0",
		"":                     "",
		">=1.0":                "",
		"1.0-SNAPSHOT":         "",
		"1.0.99999999999":      "",
		"1.0.post999999999999": "",
		"master":               "",
	} {
		t.Run(text, func(t *testing.T) {
			n, ok := Normalize("pypi", text)
			require.Equal(t, want != "", ok)
			if ok {
				want = "pep440:" + want
			}
			require.Equal(t, want, n.String())
		})
	}
}

func FuzzCompare(f *testing.F) {
	for s := range parsers {
		f.Add(string(s), "1.2.3", "1.2.4-rc1+x")
		f.Add(string(s), "1:2-3", "v1..")
	}
	f.Fuzz(func(t *testing.T, scheme, a, b string) {
		x, errX := Compare(Scheme(scheme), a, b)
		y, errY := Compare(Scheme(scheme), b, a)
		if (errX == nil) != (errY == nil) || x != -y {
			t.Fatalf("%s: %q and %q: %d %v, but back %d %v", scheme, a, b, x, errX, y, errY)
		}
	})
}
