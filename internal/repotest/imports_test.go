package repotest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the root of the repository.
const root = "../.."

// A rule is what imports.txt says about one package.
type rule struct {
	open bool // every package may import it
	may  []string
}

// readRules reads imports.txt.
func readRules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("imports.txt")
	require.NoError(t, err)
	rules := map[string]rule{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		rest, open := strings.CutPrefix(line, "* ")
		name, rest, _ := strings.Cut(rest, " ")
		why, may, _ := strings.Cut(rest, ":")
		require.NotEmpty(t, strings.TrimSpace(why), "%s has no reason", name)
		require.NotContains(t, rules, name, "duplicate entry")
		rules[name] = rule{open, strings.Fields(may)}
	}
	return rules
}

// TestImports holds the packages of the module to imports.txt.
func TestImports(t *testing.T) {
	rules, exists := readRules(t), map[string]bool{}
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		name := inModule(p.ImportPath)
		own, known := rules[name]
		require.True(t, known, "%s is missing in imports.txt: add why it exists and what it may import", name)
		unused := slices.Clone(own.may)
		for _, i := range p.Imports {
			other := inModule(i)
			if other == "" {
				continue
			}
			open := rules[other].open
			require.True(t, open || slices.Contains(own.may, other), "%s may not import %s: see imports.txt", name, other)
			require.True(t, open || !own.open, "%s is open to all, but imports %s, which is not", name, other)
			unused = slices.DeleteFunc(unused, func(s string) bool { return s == other })
		}
		require.Empty(t, unused, "%s does not import these: remove them from imports.txt", name)
		exists[name] = true
	}
	for name := range rules {
		require.True(t, exists[name], "imports.txt names %s, which does not exist", name)
	}
}

// inModule returns the path of a package of the module, "main" for the root
// and "" for a package of another module.
func inModule(path string) string {
	if path == "oriel" {
		return "main"
	}
	name, ok := strings.CutPrefix(path, "oriel/")
	if !ok {
		return ""
	}
	return name
}
