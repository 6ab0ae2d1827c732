package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
)

// asEcho is the variable that turns the test binary into a plain echo server for
// comparison with the window, which serves the pages of one list from memory.
// Its value is the address of the server to read them from.
const asEcho = "RUN_AS_ECHO"

func TestMain(m *testing.M) {
	if from := os.Getenv(asEcho); from != "" {
		if err := serveFromMemory(from); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveFromMemory reads the whole list through the window, then serves its
// pages until it is killed. It prints its address and the number of pages.
func serveFromMemory(from string) error {
	r := &windowReader{client: http.DefaultClient, base: from}
	if err := r.open(); err != nil {
		return err
	}
	var pages [][]byte
	for {
		body, done, err := r.next()
		if err != nil {
			return err
		}
		if done {
			break
		}
		pages = append(pages, bytes.Clone(body))
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/pages/:i", func(c echo.Context) error {
		i, err := strconv.Atoi(c.Param("i"))
		if err != nil || i < 0 || i >= len(pages) {
			return echo.ErrNotFound
		}
		c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(pages[i])))
		return c.Blob(http.StatusOK, "application/json", pages[i])
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s %d\n", l.Addr(), len(pages))
	return http.Serve(l, e)
}

// The JSON before the cursor of a page, and before the id of a row.
const (
	nextKey = `,"next":"`
	idKey   = `{"id":"`
)

// windowReader reads one list through a window.
type windowReader struct {
	client      *http.Client
	base        string
	platform    string // default the first of releases
	path, after string
	buf         bytes.Buffer
	read        int64
	ids         []uint64
}

func (r *windowReader) open() error {
	want := fmt.Sprintf(`{"platform":%q}`, cmp.Or(r.platform, releases()[0]))
	res, err := r.client.Post(r.base+"/patches/v1/sessions", "application/json", strings.NewReader(want))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("open: %s", res.Status)
	}
	r.path = r.base + res.Header.Get("Location") + "/vulnerabilities?wait=30s&after="
	return nil
}

// get reads the body of an answer into the reader's buffer.
func (r *windowReader) get(address string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	res, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	r.buf.Reset()
	n, err := r.buf.ReadFrom(res.Body)
	r.read += n
	return res.StatusCode, err
}

// next returns the next page, which is valid until the following call.
func (r *windowReader) next() (body []byte, done bool, err error) {
	for {
		status, err := r.get(r.path + r.after)
		if err != nil {
			return nil, false, err
		}
		body = r.buf.Bytes()
		switch {
		case status == http.StatusAccepted:
			continue
		case status != http.StatusOK:
			return nil, false, fmt.Errorf("read: %d: %s", status, body)
		}
		i := bytes.LastIndex(body, []byte(nextKey)) + len(nextKey)
		r.after = string(body[i : i+bytes.IndexByte(body[i:], '"')])
		return body, bytes.HasPrefix(body, []byte(`{"state":"done"`)), nil
	}
}

// take records the ids of a page's rows. The id of a distribution is empty.
func (r *windowReader) take(body []byte) {
	for {
		i := bytes.Index(body, []byte(idKey))
		if i < 0 {
			return
		}
		body = body[i+len(idKey):]
		var id uint64
		for body[0] >= '0' && body[0] <= '9' {
			id = id*10 + uint64(body[0]-'0')
			body = body[1:]
		}
		if id > 0 {
			r.ids = append(r.ids, id)
		}
	}
}

// sum returns the hash of the sorted ids.
func (r *windowReader) sum() [32]byte {
	slices.Sort(r.ids)
	h := sha256.New()
	for _, id := range r.ids {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], id)
		h.Write(b[:])
	}
	return [32]byte(h.Sum(nil))
}

// releases are the releases whose rows the benchmarks of the window read.
func releases() []string {
	return []string{"debian:10", "debian:11", "debian:12", "debian:13", "debian:14"}
}

// released streams rows of all the releases in turn, as many of each.
func released(rows int) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		var dists []*clair.Distribution
		for _, name := range releases() {
			release, _ := distro.ReleaseByName(name)
			dists = append(dists, release.Distribution())
		}
		texts := texts()
		for i := range len(dists) * rows {
			v := rowSource{packages: 20000}.row(i, dists, texts)
			v.Dist = dists[i%len(dists)]
			if !yield(v, nil) {
				return
			}
		}
	}
}

// BenchmarkWindow lets many scanners read a whole list together from a real
// daemon with a limit of 128 MiB, then as many clients the same bytes from an
// echo server that has them in memory. Every scanner must get exactly the rows
// of the database.
func BenchmarkWindow(b *testing.B) {
	oriel := program(b)
	for _, c := range []struct{ scanners, rows int }{{1000, 20_000}, {50, 500_000}} {
		b.Run(fmt.Sprintf("%dx%d", c.scanners, c.rows), func(b *testing.B) {
			dir := b.TempDir()
			db := open(b, filepath.Join(dir, "oriel.db"))
			_, err := db.UpdateVulnerabilities(b.Context(), "bench", "1", released(c.rows))
			require.NoError(b, err)
			want := &windowReader{}
			snap, err := db.Snapshot(b.Context())
			require.NoError(b, err)
			for v, err := range snap.Vulnerabilities(b.Context(), "bench") {
				require.NoError(b, err)
				if v.Dist.VersionID == "10" {
					id, err := strconv.ParseUint(v.ID, 10, 64)
					require.NoError(b, err)
					want.ids = append(want.ids, id)
				}
			}
			snap.Close()
			require.Len(b, want.ids, c.rows)
			require.NoError(b, db.Close())
			for range b.N {
				windowOnce(b, oriel, dir, c.scanners, want.sum())
			}
		})
	}
}

func windowOnce(b *testing.B, oriel, dir string, scanners int, want [32]byte) {
	base, pid, stop := daemon(b, oriel, dir, scanners, "")
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: scanners}}
	defer client.CloseIdleConnections()

	readers := make([]*windowReader, scanners)
	for i := range readers {
		readers[i] = &windowReader{client: client, base: base}
		require.NoError(b, readers[i].open())
	}
	start := time.Now()
	read := together(b, readers, func(r *windowReader) error {
		for {
			body, done, err := r.next()
			if err != nil || done {
				return err
			}
			r.take(body)
		}
	})
	window := float64(read) / time.Since(start).Seconds()
	b.ReportMetric(time.Since(start).Seconds(), "window-s")
	b.ReportMetric(window/1e6, "window-MB/s")
	for _, r := range readers {
		require.Equal(b, want, r.sum())
		r.ids = r.ids[:0]
	}
	var st struct {
		RowsRead int `json:"rows_read"`
	}
	res, err := client.Get(base + "/patches/v1/status")
	require.NoError(b, err)
	require.NoError(b, json.NewDecoder(res.Body).Decode(&st))
	require.NoError(b, res.Body.Close())
	b.ReportMetric(float64(st.RowsRead), "rows-read")
	b.ReportMetric(peakMB(b, pid), "peak-MB")
	b.ReportMetric(cpuSeconds(b, pid), "window-cpu-s")

	// The same bytes, from memory.
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asEcho+"="+base)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	defer func() { cancel(); _ = cmd.Wait() }()
	var address string
	var pages int
	_, err = fmt.Fscanln(out, &address, &pages)
	require.NoError(b, err)
	start = time.Now()
	read = together(b, readers, func(r *windowReader) error {
		for i := range pages {
			if _, err := r.get(fmt.Sprintf("%s/pages/%d", address, i)); err != nil {
				return err
			}
			r.take(r.buf.Bytes())
		}
		return nil
	})
	memory := float64(read) / time.Since(start).Seconds()
	for _, r := range readers {
		require.Equal(b, want, r.sum())
	}
	b.ReportMetric(memory/1e6, "echo-MB/s")
	b.ReportMetric(cpuSeconds(b, cmd.Process.Pid), "echo-cpu-s")
	b.ReportMetric(window/memory, "of-echo")
}

// together runs all readers at once, and counts the bytes that they read.
func together(b *testing.B, readers []*windowReader, work func(*windowReader) error) int64 {
	var wg sync.WaitGroup
	var total atomic.Int64
	errs := make([]error, len(readers))
	for i, r := range readers {
		r.read = 0
		wg.Go(func() {
			errs[i] = work(r)
			total.Add(r.read)
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(b, err)
	}
	return total.Load()
}

// BenchmarkWindow_Platforms runs as many scanners as may be active on each of
// five platforms at once, in one memory budget.
func BenchmarkWindow_Platforms(b *testing.B) {
	const scanners, rows = 128, 20_000
	oriel, dir := program(b), b.TempDir()
	db := open(b, filepath.Join(dir, "oriel.db"))
	_, err := db.UpdateVulnerabilities(b.Context(), "bench", "1", released(rows))
	require.NoError(b, err)
	require.NoError(b, db.Close())
	for range b.N {
		base, pid, stop := daemon(b, oriel, dir, scanners, "")
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: scanners * len(releases())}}
		var readers []*windowReader
		for i := range scanners * len(releases()) {
			r := &windowReader{client: client, base: base, platform: releases()[i%len(releases())]}
			require.NoError(b, r.open())
			readers = append(readers, r)
		}
		start := time.Now()
		read := together(b, readers, func(r *windowReader) error {
			for {
				body, done, err := r.next()
				if err != nil || done {
					return err
				}
				r.take(body)
			}
		})
		b.ReportMetric(float64(read)/1e6/time.Since(start).Seconds(), "window-MB/s")
		b.ReportMetric(peakMB(b, pid), "peak-MB")
		for i, r := range readers {
			require.Len(b, r.ids, rows)
			require.Equal(b, readers[i%len(releases())].sum(), r.sum())
		}
		client.CloseIdleConnections()
		stop()
	}
}

// daemon starts the daemon on the database in dir, with additional
// configuration.
func daemon(b *testing.B, oriel, dir string, scanners int, more string) (base string, pid int, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	address := l.Addr().String()
	require.NoError(b, l.Close())
	config := filepath.Join(dir, "oriel.toml")
	text := fmt.Sprintf("listen = %q\n[store]\npath = %q\n[memory]\nlimit = '128MiB'\n[window]\nmax_active = %d\n%s", address, filepath.Join(dir, "oriel.db"), scanners, more)
	require.NoError(b, os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command(oriel, "serve", "-c", config)
	cmd.Env = []string{}
	require.NoError(b, cmd.Start())
	base = "http://" + address
	for i := 0; ; i++ {
		require.Less(b, i, 10000, "never ready")
		res, err := http.Get(base + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	return base, cmd.Process.Pid, func() {
		require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(b, cmd.Wait())
	}
}

// cpuSeconds returns the processor time of a process.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	// The fields after the name in brackets begin with the third; the 14th and
	// the 15th count hundredths of a second (proc(5)).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err := strconv.ParseFloat(fields[11], 64)
	require.NoError(b, err)
	system, err := strconv.ParseFloat(fields[12], 64)
	require.NoError(b, err)
	return (user + system) / 100
}

// peakMB returns the largest resident set of a process so far, in MB.
func peakMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			require.NoError(b, err)
			return kb / 1024
		}
	}
	return 0
}
