package repotest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadme_Rooms checks that the README's table of rooms names each folder
// that holds code.
func TestReadme_Rooms(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	for name := range rooms {
		dir, _, _ := strings.Cut(strings.TrimPrefix(name, "oriel/"), "/")
		if name != "oriel" {
			require.Contains(t, string(readme), "| `"+dir+"/` |", "%s is missing in the README's table of rooms", dir)
		}
	}
}

// TestDocs_Links checks that the files that documents link to exist.
func TestDocs_Links(t *testing.T) {
	for _, doc := range documents(t) {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
			require.FileExists(t, filepath.Join(filepath.Dir(doc), m[1]), "%s links to it", doc)
		}
	}
}

// documents returns the Markdown files at the root and below docs.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}
