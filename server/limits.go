package server

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// maxClients bounds the table of clients to about 1 MB. The least recently seen
// client is dropped first.
const maxClients = 8192

// rateLimiter limits the rate of requests of each client.
type rateLimiter struct {
	rate  rate.Limit
	burst int

	// mu guards the fields below.
	mu    sync.Mutex
	known map[netip.Addr]*list.Element // each holds a *client
	order *list.List                   // most recently seen client first
}

type client struct {
	addr    netip.Addr
	limiter *rate.Limiter
}

func newRateLimiter(l Limits) *rateLimiter {
	return &rateLimiter{rate: rate.Limit(l.Rate), burst: l.Burst, known: map[netip.Addr]*list.Element{}, order: list.New()}
}

// allow reports whether a client may make a request now, and if not, how long
// it should wait.
func (l *rateLimiter) allow(addr netip.Addr, now time.Time) (ok bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.known[addr]
	if known {
		l.order.MoveToFront(e)
	} else {
		if l.order.Len() >= maxClients {
			oldest := l.order.Back()
			delete(l.known, l.order.Remove(oldest).(*client).addr)
		}
		e = l.order.PushFront(&client{addr, rate.NewLimiter(l.rate, l.burst)})
		l.known[addr] = e
	}
	limiter := e.Value.(*client).limiter
	if limiter.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - limiter.TokensAt(now)
	return false, time.Duration(missing / float64(l.rate) * float64(time.Second))
}

// limitClientRate refuses requests of clients that exceed their rate.
func (s *Server) limitClientRate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		addr, ok := clientOf(c.Request().RemoteAddr)
		if !ok || s.Limits.Rate == 0 {
			return next(c)
		}
		if ok, wait := s.rates.allow(addr, s.Now()); !ok {
			s.metrics.limited.WithLabelValues(limitRate).Inc()
			c.Response().Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			return &statusError{status: http.StatusTooManyRequests, message: "too many requests from this address"}
		}
		return next(c)
	}
}

// clientOf returns the address of the client of a connection, without regard to
// headers. ok is false if the client is on this machine.
func clientOf(remote string) (client netip.Addr, ok bool) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Unmap().IsLoopback() {
		return netip.Addr{}, false
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		// A machine usually has a whole /64 network.
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr, true
}

// contentPolicy is the Content-Security-Policy of responses: they load and run
// nothing. A page adds its own style.
const contentPolicy = "default-src 'none'; frame-ancestors 'none'"

// secure sets headers that restrict what browsers do with a response.
// Strict-Transport-Security is left to the owner of the host name: it would
// apply to everything else on the host.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", contentPolicy)
		return next(c)
	}
}
