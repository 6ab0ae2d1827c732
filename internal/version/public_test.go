package version

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/internal/corpus"
)

// publicSchemes maps the beginnings of the names of published lists.
var publicSchemes = map[string]Scheme{
	"alpine": Alpine, "claircore-maven": "maven", "claircore-rpmvercmp": RPM, "cran": "cran", "debian": Debian, "hackage": "hackage",
	"maven": "maven", "nuget": "nuget", "packagist": "packagist", "pub": "pub", "pypi": "pypi", "redhat": RPM, "rubygems": "rubygems", "semver": "crates.io",
}

// publicContradictions are comparisons of raw PHP versions, which Composer, by
// which packages are ordered, answers differently: see contradictions.
var publicContradictions = map[string]int{"packagist-versions.txt.gz": 4, "packagist-versions-generated.txt.gz": 6}

// publicNotVersions are the numbers of comparisons with a text that is not a
// version of the ecosystem: see notVersions.
var publicNotVersions = map[string]int{
	"alpine-versions.txt.gz": 19, "maven-versions-generated.txt.gz": 1, "packagist-versions.txt.gz": 3,
	"pypi-versions.txt.gz": 3, "pypi-versions-generated.txt.gz": 4,
}

// TestCompare_Published runs the comparisons that other tools publish.
func TestCompare_Published(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t), "corpus/expected/public/versions/*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			var scheme Scheme
			for prefix, s := range publicSchemes {
				if strings.HasPrefix(name, prefix) {
					scheme = s
				}
			}
			require.NotEmpty(t, scheme)
			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			var r io.Reader = f
			if strings.HasSuffix(name, ".gz") {
				r, err = gzip.NewReader(f)
				require.NoError(t, err)
			}
			total, refused, wrong := 0, 0, []string(nil)
			for lines := bufio.NewScanner(r); lines.Scan(); {
				w := strings.Fields(lines.Text())
				if len(w) != 3 || strings.HasPrefix(w[0], "#") {
					continue
				}
				total++
				switch got, err := Compare(scheme, w[0], w[2]); {
				case err != nil:
					refused++
				case "<=>"[got+1:got+2] != w[1][:1]:
					wrong = append(wrong, lines.Text())
				}
			}
			t.Logf("%s: %d of %d, %d refused", name, total-len(wrong)-refused, total, refused)
			require.LessOrEqual(t, refused, publicNotVersions[name])
			require.Positive(t, total)
			if len(wrong) > publicContradictions[name] {
				t.Errorf("%d wrong:\n%s", len(wrong), strings.Join(wrong[:min(20, len(wrong))], "\n"))
			}
		})
	}
}
