// Package corpus finds the real feeds, inventories and published results that
// some tests use. They are too large, and have too many licenses, to be part of
// this repository; without them these tests are skipped.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder with corpus/ and versions/: ORIEL_CORPUS, or "shared"
// next to the module. If it does not exist, Dir skips the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ORIEL_CORPUS")
	if dir == "" {
		dir = nextToModule(t)
	}
	if _, err := os.Stat(filepath.Join(dir, "corpus")); err != nil {
		t.Skip("no corpus of real feeds: set ORIEL_CORPUS to the folder that holds corpus/ and versions/")
	}
	return dir
}

// nextToModule returns the path of "shared" next to the folder of go.mod.
func nextToModule(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	return filepath.Join(filepath.Dir(dir), "shared")
}
