// Package golden compares what a test made with a file under testdata. With
// -update the files are written instead, to be read before they are committed.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// update is registered where a test binary imports this package, and only
// tests do.
var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Equal holds got against the file testdata/name of the package under test.
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
	require.Equal(t, string(want), string(got), "%s: if the change is meant, run the test with -update", path)
}
