package cli

import (
	"bufio"
	"oriel/internal/app"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The unit starts an existing command, with a configuration and a database in
// its directories, and is locked down.
func TestService_Unit(t *testing.T) {
	text, err := os.ReadFile("../../docs/service/oriel.service")
	require.NoError(t, err)
	keys := map[string]string{}
	section := ""
	for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			require.Contains(t, []string{"[Unit]", "[Service]", "[Install]"}, line)
			section = line
		default:
			key, value, ok := strings.Cut(line, "=")
			require.True(t, ok, line)
			require.Regexp(t, `^[A-Za-z]+$`, key)
			keys[section+key] += value + "\n"
		}
	}
	fields := strings.Fields(keys["[Service]ExecStart"])
	require.Equal(t, []string{"/usr/local/bin/oriel", "serve", "-c", "/etc/oriel/oriel.toml"}, fields)
	cmd, rest, err := (&oriel{assets: assets()}).command().Find(fields[1:])
	require.NoError(t, err)
	require.Equal(t, "serve", cmd.Name())
	require.NoError(t, cmd.ParseFlags(rest))
	require.Equal(t, "oriel\n", keys["[Service]StateDirectory"])
	require.Equal(t, "strict\n", keys["[Service]ProtectSystem"])
	require.Equal(t, "\n", keys["[Service]CapabilityBoundingSet"])

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("install systemd 250 or later to have the unit verified")
	}
	// verify needs the program to exist.
	unit := filepath.Join(t.TempDir(), "oriel.service")
	there := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(string(text), "ExecStart=/bin/sh")
	require.NoError(t, os.WriteFile(unit, []byte(there), 0o600))
	out, err := exec.Command(analyze, "verify", unit).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "oriel.service:", "nothing to complain of")
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=15", unit).CombinedOutput() // tenths
	require.NoError(t, err, string(out))
}

// The image contains the program and the files that it needs.
func TestService_Dockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	for _, says := range []string{"CGO_ENABLED=0", "FROM scratch", "USER 65532", "ca-certificates.crt", "ORIEL_STORE_PATH=/data/oriel.db", "/out/tmp"} {
		require.Contains(t, string(text), says)
	}
	empty := filepath.Join(t.TempDir(), "oriel.toml")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = app.Load(empty, []string{"ORIEL_STORE_PATH=/data/oriel.db"}, assets())
	require.NoError(t, err)
}
