package lang

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/index/reader"
)

// buildProgram builds a program of two modules, one of which a directory
// replaces, and returns its bytes.
func buildProgram(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.org/main\n\ngo 1.22\n\nrequire example.org/part v1.2.3\n\nreplace example.org/part => ./part\n",
		"main.go":      "package main\n\nimport \"example.org/part\"\n\nfunc main() { part.Part() }\n",
		"part/go.mod":  "module example.org/part\n\ngo 1.22\n",
		"part/part.go": "package part\n\nfunc Part() {}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "program", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(filepath.Join(dir, "program"))
	require.NoError(t, err)
	return b
}

func TestGo_Replace(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	out := &reader.Found{}
	r := goReader()
	b := buildProgram(t)
	require.NoError(t, r.Run(t.Context(), &reader.File{Path: "p", Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}, out))
	var names []string
	for _, p := range out.Packages {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"stdlib", "example.org/main"}, names)
	require.Len(t, out.Unmatched, 1)
	require.Equal(t, "example.org/part", out.Unmatched[0].Package)
	require.Equal(t, "v1.2.3", out.Unmatched[0].Version)
	require.Contains(t, out.Unmatched[0].Reason, "./part")
}

func TestGo_NoProgram(t *testing.T) {
	for name, b := range map[string][]byte{"empty": nil, "elf": []byte("\x7fELF"), "cut": []byte("\x7fELF\x02\x01\x01" + string(make([]byte, 100)))} {
		t.Run(name, func(t *testing.T) {
			out := &reader.Found{}
			r := goReader()
			require.NoError(t, r.Run(t.Context(), &reader.File{Path: "p", Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}, out))
			require.Empty(t, out.Packages)
		})
	}
}
