package server

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxStreams is the number of streams that an HTTP/2 connection may have
	// open at once.
	maxStreams = 32
	// frameSize is the maximum size of a frame, which each connection holds.
	frameSize = 16 << 10
	// connectionWindow and streamWindow are the bytes of bodies that are held
	// before a handler reads them.
	connectionWindow = 64 << 10
	streamWindow     = 32 << 10
	// streamCost is the memory of a stream: its goroutine, request, response
	// and buffers.
	streamCost = 24 << 10
	// freeHeaders are the headers that are part of it.
	freeHeaders = 4 << 10
	// compressorCost is the memory of a compressor, which a stream holds for as
	// long as its client reads nothing.
	compressorCost = 256 << 10
	// refusals is the number of streams that are answered with 503 at once;
	// further ones are reset.
	refusals = 64
	// stalledTime is how long a client may read nothing at all from an HTTP/2
	// connection.
	stalledTime = 30 * time.Second
)

// streamLimits returns the limits of each HTTP/2 connection.
func streamLimits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              frameSize,
		MaxReceiveBufferPerConnection: connectionWindow,
		MaxReceiveBufferPerStream:     streamWindow,
		WriteByteTimeout:              stalledTime,
	}
}

// streamsKey is the key of a connection's number of streams in its context.
type streamsKey struct{}

// countStreams is the server's http.Server.ConnContext.
func countStreams(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, streamsKey{}, new(atomic.Int64))
}

// ServeHTTP implements http.Handler. A stream of HTTP/2 reserves its memory, or
// is refused; the first of a connection is in the share of the connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		s.echo.ServeHTTP(w, r)
		return
	}
	cost := streamMemory(r)
	if open, ok := r.Context().Value(streamsKey{}).(*atomic.Int64); ok {
		if open.Add(1) == 1 {
			cost -= streamCost
		}
		defer open.Add(-1)
	}
	if !s.memory.reserve(0, cost) {
		s.refuseStream(w)
		return
	}
	defer s.memory.release(cost)
	s.echo.ServeHTTP(w, r)
}

// streamMemory returns the memory that a stream takes before its handler runs.
func streamMemory(r *http.Request) int64 {
	headers := int64(len(r.RequestURI))
	for k, values := range r.Header {
		for _, v := range values {
			headers += int64(len(k) + len(v) + 32)
		}
	}
	cost := streamCost + max(0, headers-freeHeaders)
	if r.ContentLength != 0 {
		cost += streamWindow
	}
	return cost
}

// refuseStream answers without a body, which a client that reads nothing could
// hold up. If too many such answers wait, it resets the stream.
func (s *Server) refuseStream(w http.ResponseWriter) {
	s.metrics.limited.WithLabelValues(limitStreams).Inc()
	select {
	case s.refusals <- struct{}{}:
	default:
		panic(http.ErrAbortHandler)
	}
	defer func() { <-s.refusals }()
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(http.ErrAbortHandler) // the stream is closed
	}
}
