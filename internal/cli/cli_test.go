package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/internal/app"
)

func TestVersion(t *testing.T) {
	code, out, _ := runOriel(t, "--version")
	require.Zero(t, code)
	require.Contains(t, out, app.Build())
}

// A shell completes the commands and the names of feeds.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, _ := runOriel(t, "completion", shell)
		require.Zero(t, code)
		require.Contains(t, out, "oriel", shell)
	}
	config, _ := writeConfig(t, "osv/Go", "x.zip")
	_, out, _ := runOriel(t, "__complete", "update", "-c", config, "")
	require.Contains(t, out, "osv/Go\n")
	_, out, _ = runOriel(t, "__complete", "")
	require.Contains(t, out, "backup\t")
}

// A missing secret or certificate is wrong usage, and the error names its key.
func TestCheck_Secrets(t *testing.T) {
	for text, message := range map[string]string{
		"[auth]\npsk_file = 'missing'\n":                                      "auth.psk_file",
		"[[auth.token]]\nname = 'a'\nrole = 'read'\ntoken_file = 'missing'\n": "auth.token[0].token_file",
		"[tls]\ncert = 'missing'\nkey = 'missing'\n":                          "tls: ",
	} {
		t.Run(message, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "oriel.toml")
			require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
			code, _, errs := runOriel(t, "check", "-c", config)
			require.Equal(t, exitUsage, code)
			require.Contains(t, errs, message)
		})
	}
}

// Commands that need a database do not create one.
func TestNoDatabase(t *testing.T) {
	for _, args := range [][]string{
		{"vacuum"}, {"notifications"}, {"notifications", "--redeliver", "6e0a9a3a-3f0c-4a3e-9a0b-1f1f1f1f1f1f"},
		{"status"}, {"changes"}, {"backup", "copy.db"}, {"export", "feeds.bundle"}, {"report", "sha256:" + strings.Repeat("0", 64)},
	} {
		t.Run(strings.Join(args, "_"), func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.WriteFile("oriel.toml", nil, 0o600))
			code, _, errs := runOriel(t, args...)
			require.Equal(t, exitFailed, code)
			require.Contains(t, errs, "there is no database yet at")
			files, err := os.ReadDir(".")
			require.NoError(t, err)
			require.Len(t, files, 1)
		})
	}
}

// text returns a function that writes a text and returns an error.
func text(s string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		_, werr := io.WriteString(w, s)
		return errors.Join(werr, err)
	}
}

// A file is written whole or left as it was, and nothing temporary is left.
func TestWriteWhole(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name  string
		setUp func(t *testing.T) // in an empty folder
		err   error

		file, want string
		mode       fs.FileMode
		links      []string // which still are links
	}{
		{"new", func(*testing.T) {}, nil, "out", "after", 0o644, nil},
		{"replaced", func(t *testing.T) { before(t, "out") }, nil, "out", "after", 0o640, nil},
		{"fails", func(t *testing.T) { before(t, "out") }, full, "out", "before", 0o640, nil},
		{"link", func(t *testing.T) { before(t, "file"); link(t, "file", "out") }, nil, "file", "after", 0o640, []string{"out"}},
		{"link_fails", func(t *testing.T) { before(t, "file"); link(t, "file", "out") }, full, "file", "before", 0o640, []string{"out"}},
		{"links", func(t *testing.T) { link(t, "b", "out"); link(t, "file", "b"); before(t, "file") }, nil, "file", "after", 0o640, []string{"out", "b"}},
		{"link_to_nothing", func(t *testing.T) { link(t, "file", "out") }, nil, "file", "after", 0o644, []string{"out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c.setUp(t)
			err := (&oriel{stdout: io.Discard}).writeWhole("out", text("after", c.err))
			require.ErrorIs(t, err, c.err)
			got, err := os.ReadFile(c.file)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			info, err := os.Stat(c.file)
			require.NoError(t, err)
			require.Equal(t, c.mode, info.Mode().Perm())
			for _, name := range c.links {
				_, err := os.Readlink(name)
				require.NoError(t, err, "the link is followed, not replaced")
			}
			files, err := os.ReadDir(".")
			require.NoError(t, err)
			require.Len(t, files, 1+len(c.links), "nothing temporary is left")
		})
	}
}

// before writes a file with a mode of its own.
func before(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte("before"), 0o600))
	require.NoError(t, os.Chmod(name, 0o640)) // whatever the umask is
}

func link(t *testing.T, to, name string) {
	t.Helper()
	require.NoError(t, os.Symlink(to, name))
}

// A file that is not regular is written directly: no device, pipe or link to one
// is replaced. The pipe has no name, as that of a shell has none.
func TestWriteWhole_Directly(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("this system has no /proc")
	}
	t.Chdir(t.TempDir())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	pipe := fmt.Sprint("/proc/self/fd/", w.Fd())
	link(t, pipe, "out")
	link(t, "out", "again")
	var stdout, stderr strings.Builder
	o := &oriel{stdout: &stdout, stderr: &stderr}
	for _, name := range []string{pipe, "out", "again"} {
		require.NoError(t, o.writeWhole(name, text(name+" ", nil)))
	}
	require.NoError(t, w.Close())
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, pipe+" out again ", string(got))
	_, err = os.Readlink("out")
	require.NoError(t, err)

	// A file that is open is appended to, since others may have it open, too.
	f, err := os.Create("file")
	require.NoError(t, err)
	defer f.Close()
	for _, s := range []string{"a", "b"} {
		require.NoError(t, o.writeWhole(fmt.Sprint("/proc/self/fd/", f.Fd()), text(s, nil)))
	}
	got, err = os.ReadFile("file")
	require.NoError(t, err)
	require.Equal(t, "ab", string(got))

	require.NoError(t, o.writeWhole(os.DevNull, text("x", nil)))
	require.Error(t, o.writeWhole("/proc/self/fd/999999", text("x", nil)))
	for _, name := range []string{"-", "/dev/stdout"} {
		require.NoError(t, o.writeWhole(name, text("out", nil)))
	}
	require.NoError(t, o.writeWhole("/dev/stderr", text("err", nil)))
	require.Equal(t, []string{"outout", "err"}, []string{stdout.String(), stderr.String()})
	link(t, "circle", "circle")
	require.Error(t, o.writeWhole("circle", text("x", nil)))
}
