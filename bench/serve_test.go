package bench

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program builds the program with the options of a release.
func program(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "oriel")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	return path
}

// BenchmarkServe starts the daemon on a large database and reports the time
// until it is ready and its resident set while it is idle.
func BenchmarkServe(b *testing.B) {
	oriel := program(b)
	for _, rows := range sizes(b) {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			dir := b.TempDir()
			db := open(b, filepath.Join(dir, "oriel.db"))
			_, err := db.UpdateVulnerabilities(b.Context(), "bench", "1", rowSource{rows: rows, packages: 20000}.all())
			require.NoError(b, err)
			require.NoError(b, db.Close())
			for range b.N {
				serveOnce(b, oriel, dir)
			}
		})
	}
}

func serveOnce(b *testing.B, oriel, dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	address := l.Addr().String()
	require.NoError(b, l.Close())
	config := filepath.Join(dir, "oriel.toml")
	text := fmt.Sprintf("listen = %q\n[store]\npath = %q\n", address, filepath.Join(dir, "oriel.db"))
	require.NoError(b, os.WriteFile(config, []byte(text), 0o600))

	cmd := exec.Command(oriel, "serve", "-c", config)
	cmd.Env = []string{} // ORIEL_BENCH_ROWS is not a key of the configuration
	start := time.Now()
	require.NoError(b, cmd.Start())
	for i := 0; ; i++ {
		require.Less(b, i, 10000, "never ready")
		res, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ready-ms")
	time.Sleep(3 * time.Second)
	b.ReportMetric(residentMB(b, cmd.Process.Pid), "idle-MB")
	require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(b, cmd.Wait())
}

// residentMB returns the resident set of a process in MB.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			require.NoError(b, err)
			return kb / 1024
		}
	}
	return 0
}
