// Package golden compares the output of a test with a file in testdata. With
// -update the files are written instead; read them before you commit them.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// update is a flag of every test binary that imports this package.
var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Equal requires got to be the content of the file testdata/name of the package
// under test.
func Equal(t testing.TB, got []byte, name string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to make the file")
	require.Equal(t, string(want), string(got), "%s: if the change is intended, run the test with -update", path)
}
