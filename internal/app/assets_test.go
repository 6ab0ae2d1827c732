package app

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// assets are the files that the program embeds, read from the repository.
func assets(t testing.TB) Assets {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	schema, err := os.ReadFile(filepath.Join(root, "schema.sql"))
	require.NoError(t, err)
	example, err := os.ReadFile(filepath.Join(root, "config.example.toml"))
	require.NoError(t, err)
	return Assets{Schema: string(schema), ExampleConfig: string(example), Demo: os.DirFS(root)}
}
