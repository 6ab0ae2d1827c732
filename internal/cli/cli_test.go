package cli

import (
	"errors"
	"io"
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

// A report that cannot be written completely leaves the previous file.
func TestWriteWhole(t *testing.T) {
	t.Chdir(t.TempDir())
	o := &oriel{stdout: io.Discard}
	require.NoError(t, os.WriteFile("report", []byte("before"), 0o640))
	full := errors.New("no space left on device")
	err := o.writeWhole("report", func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		return errors.Join(err, full)
	})
	require.ErrorIs(t, err, full)
	text, err := os.ReadFile("report")
	require.NoError(t, err)
	require.Equal(t, "before", string(text))
	require.NoError(t, os.Symlink("report", "link"))
	require.NoError(t, o.writeWhole("link", func(w io.Writer) error { _, err := w.Write([]byte("after")); return err }))
	text, err = os.ReadFile("report")
	require.NoError(t, err)
	require.Equal(t, "after", string(text), "a link is followed, not replaced")
	info, err := os.Stat("report")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	require.NoError(t, o.writeWhole(os.DevNull, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }))
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing temporary is left")
}
