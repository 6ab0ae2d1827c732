package server

import (
	"io"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

const (
	// freeBody is how much of a body is held in the share of its connection: a
	// small request is never refused because others are large.
	freeBody = 2 << 10
	// bodyCost is the number of bytes held for each byte of a body: the
	// decoder's buffer doubles as it grows, and the decoded value follows.
	bodyCost = 3
	// gzipCost is the memory of the decoder of a compressed body, in bytes.
	gzipCost = 64 << 10
)

// errBodies is returned for a body that exceeds the memory for bodies.
var errBodies = &statusError{
	status: http.StatusServiceUnavailable, message: "too many request bodies are being read; try again later", retry: indexRetry,
}

// account bounds the memory that requests hold. Its methods are safe for
// concurrent use.
type account struct {
	limit int64

	// mu guards the fields below.
	mu   sync.Mutex
	used int64
	most int64 // maximum of used
}

// reserve reserves n bytes for a request that already holds own bytes, and
// reports whether it did. A request that is alone may exceed the limit: its own
// limit bounds it.
func (a *account) reserve(own, n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used+n > a.limit && a.used > own {
		return false
	}
	a.used += n
	a.most = max(a.most, a.used)
	return true
}

func (a *account) release(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used -= n
}

// accountedBody is the body of a request. Its bytes are reserved in the account
// as they are read, and held until the request ends.
type accountedBody struct {
	io.ReadCloser
	account *account
	free    int64 // bytes that need no reservation
	held    int64
	// shared reports whether a semaphore bounds the number of such bodies, so
	// that they need no reservation.
	shared bool
}

// Read implements io.Reader.
func (b *accountedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if e := b.hold(int64(n)); e != nil {
		return 0, e
	}
	return n, err
}

// hold reserves the memory for n bytes of the body.
func (b *accountedBody) hold(n int64) error {
	free := min(n, b.free)
	b.free -= free
	return b.reserve((n - free) * bodyCost)
}

// reserve reserves n bytes unless the body needs no reservation.
func (b *accountedBody) reserve(n int64) error {
	if n == 0 || b.shared {
		return nil
	}
	if !b.account.reserve(b.held, n) {
		return errBodies
	}
	b.held += n
	return nil
}

// accountBodies makes the body of each request one whose bytes are reserved.
// Handlers and whatever they call can read no other.
func (s *Server) accountBodies(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Body == nil || r.Body == http.NoBody {
			return next(c)
		}
		b := &accountedBody{ReadCloser: r.Body, account: s.memory, free: freeBody}
		r.Body = b
		defer func() { s.memory.release(b.held) }()
		return next(c)
	}
}

// shareBody marks the body of a request as one of those that a semaphore
// bounds.
func shareBody(c echo.Context) {
	if b, ok := c.Request().Body.(*accountedBody); ok {
		b.shared = true
	}
}
