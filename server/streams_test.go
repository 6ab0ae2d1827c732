package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"oriel/server"
)

// streamsOf opens streams with a flow-control window of 0 on a connection, and
// returns the statuses of the responses once each stream has one. Streams that
// are reset count as 0.
func streamsOf(t *testing.T, c net.Conn, n int, headers ...string) map[int]int {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, c)
	require.NoError(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	for i := range n {
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		fields := append([]string{":method", "GET", ":path", "/openapi/v1", ":scheme", "http", ":authority", "x"}, headers...)
		for j := 0; j < len(fields); j += 2 {
			require.NoError(t, e.WriteField(hpack.HeaderField{Name: fields[j], Value: fields[j+1]}))
		}
		require.NoError(t, f.WriteHeaders(http2.HeadersFrameParam{
			StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
		}))
	}
	_, err := c.Write(out.Bytes())
	require.NoError(t, err)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	statuses := map[int]int{}
	for answered := map[uint32]bool{}; len(answered) < n; {
		frame, err := f.ReadFrame()
		require.NoError(t, err)
		status := 0
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, err = strconv.Atoi(frame.PseudoValue("status"))
			require.NoError(t, err)
		case *http2.RSTStreamFrame:
		default:
			continue
		}
		if id := frame.Header().StreamID; !answered[id] {
			answered[id] = true
			statuses[status]++
		}
	}
	return statuses
}

// Streams whose clients read nothing hold no more than the memory for them,
// with and without TLS; further ones are refused.
func TestStreams_Memory(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for name, headers := range map[string][]string{"plain": nil, "compressed": {"accept-encoding", "gzip"}} {
			t.Run(map[bool]string{false: "h2c", true: "tls"}[secure]+"/"+name, func(t *testing.T) {
				testStreams(t, secure, headers)
			})
		}
	}
}

func testStreams(t *testing.T, secure bool, headers []string) {
	const memory, perConnection = 1 << 20, 32
	o := server.Options{Log: slog.New(slog.DiscardHandler), IndexState: state, Memory: memory}
	if secure {
		cfg := server.TLSConfig{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
		writePair(t, cfg, 1)
		var err error
		o.Certificate, err = server.LoadCertificate(cfg, o.Log, nil)
		require.NoError(t, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := server.New(o)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	var conns []io.Closer
	statuses := map[int]int{}
	for range 10 {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		if secure {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // the server is the test's
		}
		conns = append(conns, c)
		for status, n := range streamsOf(t, c, perConnection, headers...) {
			statuses[status] += n
		}
	}
	_, most := s.MemoryHeld()
	require.LessOrEqual(t, most, int64(memory))
	require.Positive(t, statuses[200], "%v", statuses)
	require.Greater(t, statuses[503]+statuses[0], 200, "%v", statuses)
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
	stop()
	require.NoError(t, <-done)
	now, _ := s.MemoryHeld()
	require.Zero(t, now, "all is released")
}
