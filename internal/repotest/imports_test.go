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

<<<<<<< HEAD
// A rule is what imports.txt says about one package.
type rule struct {
	open bool // every package may import it
	may  []string
=======
// rooms lists the packages of the module that each package may import. Arrows
// point one way and siblings never import each other, so that a room can be
// read, tested and deleted without the others. All packages may import clair,
// the domain's nouns, and the packages below internal, which import nothing
// else of the module.
var rooms = map[string][]string{
	"oriel/clair":             {},                         // imports nothing of the module, so that every room may use its words
	"oriel/internal/quantity": {},                         // reads configuration values
	"oriel/internal/purl":     {},                         // reads package URLs
	"oriel/internal/cpe":      {},                         // reads and compares CPE names
	"oriel/internal/psk":      {},                         // makes and checks tokens of a shared key
	"oriel/internal/corpus":   {},                         // finds test data
	"oriel/internal/golden":   {},                         // compares with test data
	"oriel/internal/sanitize": {},                         // makes foreign text safe to show
	"oriel/internal/finding":  {"oriel/internal/version"}, // which advisories are one vulnerability; the fix by versions
	"oriel/internal/severity": {},                         // one judgement of severity and priority
	"oriel/internal/measure":  {},                         // counts what a reviewer asks about the source
	"oriel/internal/release":  {},                         // builds archives; a command of its own, which the program does not contain
	"oriel/internal/repotest": {},                         // tests of the repository as a whole
	"oriel/internal/distro":   {},                         // releases of distributions, however they are spelled
	"oriel/internal/version":  {},                         // pure orderings
	"oriel/internal/fetch":    {},                         // bytes in; knows no format
	"oriel/store":             {},                         // the only room with SQL
	"oriel/match":             {"oriel/internal/version"}, // decides by versions
	"oriel/updater":           {"oriel/internal/version", "oriel/internal/fetch"},
	"oriel/enrich":            {"oriel/internal/fetch"},
	"oriel/internal/render":   {},                              // writes reports and decides nothing
	"oriel/internal/bundle":   {},                              // writes and reads one format
	"oriel/notify":            {"oriel/match"},                 // the reason of a notification follows from which places are affected
	"oriel/window":            {},                              // pure: no clock, goroutine, SQL or HTTP
	"oriel/server/patches":    {"oriel/match", "oriel/window"}, // drives the window: reads, encodes, compresses; knows no HTTP
	"oriel/server":            {"oriel/match", "oriel/index", "oriel/index/reader", "oriel/index/sbom", "oriel/window", "oriel/server/patches"},
	"oriel/scanner":           {"oriel/match"},                                                                                                                                                         // the other end of the window
	"oriel/bench":             {},                                                                                                                                                                      // its benchmarks are test files, which may import everything
	"oriel":                   {},                                                                                                                                                                      // embeds files and calls the command line
	"oriel/internal/api":      {},                                                                                                                                                                      // what server and clients share
	"oriel/internal/client":   {},                                                                                                                                                                      // the client of the API
	"oriel/internal/app":      {"oriel/server", "oriel/server/patches", "oriel/match", "oriel/index", "oriel/updater", "oriel/enrich", "oriel/notify", "oriel/store", "oriel/window", "oriel/scanner"}, // wires every room
	"oriel/internal/cli":      {"oriel/server", "oriel/match", "oriel/index", "oriel/updater", "oriel/scanner", "oriel/store"},                                                                         // commands

	"oriel/index/reader":            {},                     // the contract of readers of formats and their scanner
	"oriel/index/reader/readertest": {"oriel/index/reader"}, // for tests of readers
	"oriel/index/system":            {"oriel/index/reader"},
	"oriel/index/rpm":               {"oriel/index/reader"},
	"oriel/index/lang":              {"oriel/index/reader"},
	"oriel/index/redhat":            {"oriel/index/reader"},
	"oriel/index/sbom":              {"oriel/index/reader", "oriel/index/rpm"}, // names of source packages
	"oriel/index":                   {"oriel/index/reader", "oriel/index/system", "oriel/index/rpm", "oriel/index/lang", "oriel/index/redhat", "oriel/index/sbom"},
>>>>>>> 4f42528 (index: repositories and names of Red Hat's images)
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
