// Package corpus finds the real feeds, inventories and published results that
// some tests run on. They are too large and too variously licensed to lie in
// this repository; without them those tests are skipped.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder that holds corpus/ and versions/: the one that
// ORIEL_CORPUS names, or else "shared" beside the module. It skips the test
// where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ORIEL_CORPUS")
	if dir == "" {
		dir = beside(t)
	}
	if _, err := os.Stat(filepath.Join(dir, "corpus")); err != nil {
		t.Skip("no corpus of real feeds: set ORIEL_CORPUS to the folder that holds corpus/ and versions/")
	}
	return dir
}

// beside is "shared" beside the folder that holds go.mod.
func beside(t testing.TB) string {
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
