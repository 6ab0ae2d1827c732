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
	for name := range readRules(t) {
		dir, rest, below := strings.Cut(name, "/")
		if dir == "internal" {
			dir, _, below = strings.Cut(rest, "/")
		}
		if name != "main" && !below {
			require.Contains(t, string(readme), "`"+dir+"/`", "%s is missing in the README's tables of rooms", name)
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

// TestConformance_Ids checks that each case id that a test names is listed in
// docs/conformance.md.
func TestConformance_Ids(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/conformance.md"))
	require.NoError(t, err)
	listed := regexp.MustCompile(`(?m)^\| ([A-Z]{3}-[0-9]{2}[a-z]?)\*? \|`).FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, listed)
	known := map[string]bool{}
	for _, m := range listed {
		known[m[1]] = true
	}
	named := 0
	err = filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, id := range regexp.MustCompile(`\b(?:IDX|MAT|UPD|NOT|AUT|OPS|CTL|PAT)-[0-9]{2}[a-z]?\b`).FindAllString(string(text), -1) {
			named++
			require.True(t, known[id], "%s names %s, which docs/conformance.md does not list", name, id)
		}
		return err
	})
	require.NoError(t, err)
	require.Positive(t, named)
}

// TestDocs_Files checks that the Go files and functions that documents name
// exist, in the form `store.DB.GC` (`store/gc.go`) for functions.
func TestDocs_Files(t *testing.T) {
	file := regexp.MustCompile("`([a-z_/]+\\.(?:go|sql|toml))`")
	function := regexp.MustCompile("`(?:[a-zA-Z]+\\.)*([a-zA-Z]+)` \\(`([a-z_/]+\\.go)`")
	for _, doc := range documents(t) {
		if filepath.Base(doc) == "extending.md" { // it names files that its reader writes
			continue
		}
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range file.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "/") {
				require.FileExists(t, filepath.Join(root, m[1]), "%s names it", doc)
			}
		}
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			source, err := os.ReadFile(filepath.Join(root, m[2]))
			require.NoError(t, err, doc)
			require.Regexp(t, `(?m)^(func .*|type )`+m[1]+`\b`, string(source), "%s: %s is not in %s", doc, m[1], m[2])
		}
	}
}
