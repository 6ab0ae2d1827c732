package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README's table of rooms names each folder that holds code.
func TestReadme_Rooms(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for name := range rooms {
		dir, _, _ := strings.Cut(strings.TrimPrefix(name, "oriel/"), "/")
		if name != "oriel" {
			require.Contains(t, string(readme), "| `"+dir+"/` |", "the README's table lacks %s", dir)
		}
	}
}

// Files that the documents point at are there.
func TestDocs_Links(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	deeper, err := filepath.Glob("docs/*/*.md")
	require.NoError(t, err)
	docs = append(docs, deeper...)
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, doc := range append(docs, "README.md") {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			require.FileExists(t, filepath.Join(filepath.Dir(doc), m[1]), "%s points at it", doc)
		}
	}
}
