package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/server"
)

// pipeListener is a listener whose connections are net.Pipes, which work inside
// a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// client is the client end of a connection.
type client struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func (c client) send(text string) {
	c.Helper()
	_, err := io.WriteString(c.Conn, text)
	require.NoError(c, err)
}

func (c client) receive() {
	c.Helper()
	res, err := http.ReadResponse(c.r, nil)
	require.NoError(c, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(c, err)
	require.Equal(c, 200, res.StatusCode)
}

func (c client) closed() {
	c.Helper()
	_, err := c.r.ReadByte()
	require.ErrorIs(c, err, io.EOF)
}

// If limits.connections is reached, a new connection takes the slot of the one
// that has been idle for the longest, or waits until one becomes idle.
func TestLimits_Connections(t *testing.T) {
	synctest.Test(t, testConnections)
}

func testConnections(t *testing.T) {
	limits := server.DefaultLimits()
	limits.Connections = 2
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		o := server.Options{Log: slog.New(slog.DiscardHandler), Limits: limits, Manifests: noManifests{}}
		done <- server.New(o).Run(ctx, l)
	}()
	defer func() {
		stop()
		require.NoError(t, <-done)
	}()
	open := func() client {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = near.Close() })
		go func() { l.conns <- far }()
		return client{t, near, bufio.NewReader(near)}
	}
	// A request is in progress until its body is complete.
	const head, rest = "DELETE /indexer/api/v1/index_report HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", "[]"
	// Two connections are busy, and a third waits.
	first, second := open(), open()
	first.send(head)
	second.send(head)
	third, served := open(), make(chan struct{})
	go func() {
		defer close(served)
		_, _ = io.WriteString(third.Conn, head+rest)
		_, _ = third.r.Peek(1)
	}()
	synctest.Wait()
	select {
	case <-served:
		t.Fatal("a third connection was served")
	default:
	}
	// When the first becomes idle, the third takes its slot.
	first.send(rest)
	first.receive()
	<-served
	third.receive()
	first.closed()
	// The third is idle now, so a fourth takes its slot.
	synctest.Wait()
	fourth := open()
	fourth.send(head + rest)
	fourth.receive()
	third.closed()
	second.send(rest)
	second.receive()
}

// noManifests holds no manifest.
type noManifests struct{ server.ManifestStore }

func (noManifests) DeleteManifests(context.Context, ...clair.Digest) ([]clair.Digest, error) {
	return nil, nil
}

// Connections that never complete a request make room for others after a
// second, the oldest first.
func TestLimits_UnfinishedHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := server.DefaultLimits()
		limits.Connections = 10
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- server.New(server.Options{Log: slog.New(slog.DiscardHandler), Limits: limits}).Run(ctx, l)
		}()
		open := func() client {
			near, far := net.Pipe()
			t.Cleanup(func() { _ = near.Close() })
			go func() { l.conns <- far }()
			return client{t, near, bufio.NewReader(near)}
		}
		var half []client
		for range 10 {
			c := open()
			c.send("GET /healthz HTTP/1.1\r\nHost: x\r\n")
			half = append(half, c)
			synctest.Wait()
		}
		start := time.Now()
		c := open()
		c.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		c.receive()
		require.Equal(t, time.Second, time.Since(start), "on the bubble's clock")
		half[0].closed()
		half[9].send("\r\n")
		half[9].receive()
		stop()
		require.NoError(t, <-done)
	})
}
