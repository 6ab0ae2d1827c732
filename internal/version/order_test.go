package version

import (
	"cmp"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// minFacts is how many neighbouring pairs each file of facts has at least.
const minFacts = 60

// TestCompare_Order holds each ordering to the facts in testdata/order, every
// pair of each chain in both directions.
func TestCompare_Order(t *testing.T) {
	files := map[string][]Scheme{
		"dpkg": {Debian}, "rpm": {RPM}, "apk": {Alpine},
		"semver": {"npm", "crates.io", "hex", "swift", "julia", "conan", "github-actions"},
		"go":     {"go"}, "npm": {"npm"}, "pypi": {"pypi"}, "maven": {"maven"}, "rubygems": {"rubygems", "cocoapods"},
		"nuget": {"nuget"}, "packagist": {"packagist"}, "cran": {"cran"}, "hackage": {"hackage"}, "pub": {"pub"},
	}
	tested := map[Scheme]bool{}
	for name, schemes := range files {
		chains, facts := readChains(t, filepath.Join("testdata/order", name+".txt"))
		require.GreaterOrEqual(t, facts, minFacts, "%s.txt has too few facts", name)
		for _, scheme := range schemes {
			tested[scheme] = true
			t.Run(name+"/"+string(scheme), func(t *testing.T) {
				for _, chain := range chains {
					chain.check(t, scheme)
				}
			})
		}
	}
	for scheme := range parsers {
		require.True(t, tested[scheme], "no facts for %s", scheme)
	}
}

// A link is one version of a chain and its rank: equal versions share a rank.
type link struct {
	version string
	rank    int
}

// A chain is versions in ascending order.
type chain []link

// check compares every pair of the chain.
func (c chain) check(t *testing.T, scheme Scheme) {
	for _, a := range c {
		for _, b := range c {
			got, err := Compare(scheme, a.version, b.version)
			if want := cmp.Compare(a.rank, b.rank); err != nil || got != want {
				t.Errorf("%s: Compare(%q, %q) = %d, %v; want %d", scheme, a.version, b.version, got, err, want)
			}
		}
	}
}

// readChains reads a file of chains "A < B = C" and counts neighbouring pairs.
func readChains(t *testing.T, file string) (chains []chain, facts int) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		c := chain{{version: words[0]}}
		for i := 1; i+1 < len(words); i += 2 {
			rank := c[len(c)-1].rank
			require.Contains(t, []string{"<", "="}, words[i], line)
			if words[i] == "<" {
				rank++
			}
			c = append(c, link{words[i+1], rank})
			facts++
		}
		require.Len(t, words, 2*len(c)-1, line)
		chains = append(chains, c)
	}
	return chains, facts
}

// TestCompare_Transitive draws versions at random from all files of facts, and
// texts that are hardly versions: those that a scheme accepts have one order.
// Maven is left out: its own order is not transitive, since 1 < 1-x < 1.0.alpha
// and 1.0.alpha < 1.
func TestCompare_Transitive(t *testing.T) {
	texts := []string{
		"1", "1.0", "1.0.0", "1-0", "1..2", "1.0.", "1_0", "1.0-alpha", "1.0.alpha", "1a", "1.a", "1-a", "1.0_rc1", "1.0_p1", "1.0-r1", "1.0-1-1",
		"0.1.x-dev", "1.0.x-dev", "1.x-dev", "1.0-dev", "1.0-p1", "1.0pl1", "1.0+1", "1.0~1", "1:1.0", "0:1.0", "v1.0", "r1", "1-r0",
	}
	files, err := filepath.Glob("testdata/order/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		chains, _ := readChains(t, file)
		for _, c := range chains {
			for _, l := range c {
				texts = append(texts, l.version)
			}
		}
	}
	for scheme := range parsers {
		if scheme == "maven" {
			continue
		}
		t.Run(string(scheme), func(t *testing.T) {
			var versions []Version
			for _, text := range texts {
				if v, err := Parse(scheme, text); err == nil {
					versions = append(versions, v)
				}
			}
			require.NotEmpty(t, versions)
			r := rand.New(rand.NewPCG(1, 2))
			for range 20000 {
				a, b, c := versions[r.IntN(len(versions))], versions[r.IntN(len(versions))], versions[r.IntN(len(versions))]
				ab, err := a.Compare(b)
				require.NoError(t, err)
				bc, err := b.Compare(c)
				require.NoError(t, err)
				ac, err := a.Compare(c)
				require.NoError(t, err)
				if ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && (ab < 0 || bc < 0)) {
					t.Fatalf("%s, %s, %s: %d, %d, but %d", a, b, c, ab, bc, ac)
				}
			}
		})
	}
}
