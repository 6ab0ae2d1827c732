package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainDocuments lists the documents, as patterns.
var plainDocuments = []string{
	"CHANGELOG.md",
	"CONTRIBUTING.md",
	"README.md",
	"SECURITY.md",
	"config.example.toml",
	"docs/architecture.md",
	"docs/conformance.md",
	"docs/coverage.md",
	"docs/extending.md",
	"docs/feeds.md",
	"docs/service/*.service",
	"docs/metrics/*.yaml",
	"schema.sql",
	"server/openapi/*.yaml",
	"docs/decisions/*.md",
	"docs/metrics/README.md",
	"docs/notifications.md",
	"docs/operations.md",
	"docs/priority.md",
	"docs/window.md",
}

// An unplain way of putting things, and what to write in its place.
type unplain struct {
	pattern *regexp.Regexp
	instead string
}

// notComparative matches words other than "longer", "less" and "more".
const notComparative = `[a-kn-z][a-z]*|l[a-df-np-z][a-z]*|m[a-np-z][a-z]*`

// unplains returns what comments and messages avoid. Each is a turn that a
// reader has to translate; none of them is used in the standard library.
func unplains() []unplain {
	u := func(pattern, instead string) unplain {
		return unplain{regexp.MustCompile(pattern), instead}
	}
	return []unplain{
		u(`(?i)\b(?:says?|tells?|told|said) (?:whether|if)\b`, "reports whether"),
		u(`\bgives (?:the|a|an|back|what|nil|no)\b`, "returns"),
		u(`(?i)\bwhere there (?:is|are|was|were)\b`, "if there is"),
		u(`(?:^|[.;:] )What (?:is|was|are|were|has|have|had|it|they|a|an|the|it|could|cannot|can)\b[^?]*$`, "name the thing: a row that …"),
		u(`(?i)\bwhat is no\b`, "if it is not a"),
		u(`(?i)\b(?:it|this|that|which|what|he) is no (?:`+notComparative+`)\b`, "is not a"),
		u(`(?i)\b(?:what|it|that|which|who|and|one) lacks?\b`, "is missing"),
		u(`(?i)\bbeside\b`, "next to, in addition to"),
		u(`(?i)\b(?:goes|go|going) by\b`, "uses"),
		u(`(?i)\blies\b|\bstands(?:[.,;]| [^f]|$)`, "is"),
		u(`(?i)\bstands? there\b`, "name what is there"),
		u(`(?i)\bthe one who\b`, "name who"),
		u(`(?i)\bis true no more\b|\bno more$`, "no longer"),
		u(`(?i)\bnothing of ours\b`, "no package of the module"),
		u(`(?i)\bsomething went wrong\b`, "internal error"),
		u(`(?i)\bof what (?:is|was|it|they|the|a)\b`, "name the thing"),
		u(`(?i)\bby what\b`, "how, or name the thing"),
	}
}

// TestWords checks the comments and messages of the packages, and the texts
// of the documents.
func TestWords(t *testing.T) {
	patterns := slices.Clone(plainDocuments)
	for name := range readRules(t) {
		if name != "main" {
			patterns = append(patterns, name)
		}
	}
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			for _, text := range texts(t, filepath.Join(root, pattern)) {
				for _, u := range unplains() {
					if found := u.pattern.FindString(text.words); found != "" {
						t.Errorf("%s: %q: rather %s\n\t%s", text.at, found, u.instead, text.words)
					}
				}
			}
		})
	}
}

// TestWords_Finds checks that the patterns find what they are for, and leave
// ordinary English alone.
func TestWords_Finds(t *testing.T) {
	tests := []struct {
		text  string
		found bool
	}{
		{"Known says whether s is an ordering.", true},
		{"Known reports whether s is an ordering.", false},
		{"or nil where there is none", true},
		{"or nil if there is none", false},
		{"What is larger than all there is gets all there is.", true},
		{"A row larger than the whole budget is granted the whole budget.", false},
		{"it is no image", true},
		{"it is no longer an image", false},
		{"a copy beside the running server", true},
		{"next to the running server", false},
		{"What a killed owner announced is true no more.", true},
		{"What is a window?", false},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			found := false
			for _, u := range unplains() {
				found = found || u.pattern.MatchString(test.text)
			}
			require.Equal(t, test.found, found)
		})
	}
}

// A text is one paragraph of a comment or document, or one message.
type text struct{ at, words string }

// texts returns the comments and messages of the package in a folder, or the
// paragraphs of the documents that match a pattern.
func texts(t *testing.T, name string) []text {
	t.Helper()
	if filepath.Ext(name) != "" {
		documents, err := filepath.Glob(name)
		require.NoError(t, err)
		require.NotEmpty(t, documents, name)
		var all []text
		for _, document := range documents {
			all = append(all, documentTexts(t, document)...)
		}
		return all
	}
	files, err := filepath.Glob(filepath.Join(name, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []text
	for _, file := range files {
		if !strings.HasPrefix(filepath.Base(file), "words") { // they quote what is to be avoided
			all = append(all, goTexts(t, file)...)
		}
	}
	return all
}

// documentTexts returns the paragraphs of a Markdown, SQL, TOML or YAML file,
// without quoted code.
func documentTexts(t *testing.T, name string) []text {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	var all []text
	prose := regexp.MustCompile("`[^`\n]*`").ReplaceAllString(string(content), "`…`")
	for _, paragraph := range regexp.MustCompile(`\n\s*\n`).Split(prose, -1) {
		all = append(all, text{name, oneLine(regexp.MustCompile(`(?m)^\s*(?:#+|--)`).ReplaceAllString(paragraph, ""))})
	}
	return all
}

// goTexts returns the comments and the string literals of a Go file that have
// a space in them.
func goTexts(t *testing.T, name string) []text {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	require.NoError(t, err)
	var all []text
	add := func(pos token.Pos, words string) {
		if words = oneLine(words); strings.Contains(words, " ") {
			all = append(all, text{fset.Position(pos).String(), words})
		}
	}
	for _, group := range file.Comments {
		for _, paragraph := range strings.Split(group.Text(), "\n\n") {
			add(group.Pos(), paragraph)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			words, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			add(lit.Pos(), words)
		}
		return true
	})
	return all
}

// oneLine returns s with each run of spaces and line breaks as one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
