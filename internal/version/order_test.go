package version

import (
	"cmp"
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
