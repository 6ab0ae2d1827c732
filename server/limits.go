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

// maxClients bounds the table of clients, about a megabyte. Whoever has not
// been heard of for the longest is forgotten first.
const maxClients = 8192

// clients counts the requests of each client against its rate.
type clients struct {
	rate  rate.Limit
	burst int

	// mu guards what follows.
	mu    sync.Mutex
	known map[netip.Addr]*list.Element // each holds a *client
	order *list.List                   // the one heard of last is in front
}

type client struct {
	addr  netip.Addr
	spent *rate.Limiter
}

func newClients(l Limits) *clients {
	return &clients{rate: rate.Limit(l.Rate), burst: l.Burst, known: map[netip.Addr]*list.Element{}, order: list.New()}
}

// allow says whether a client may make a request now, and if not, how long it
// had better wait.
func (cs *clients) allow(addr netip.Addr, now time.Time) (ok bool, wait time.Duration) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	e, known := cs.known[addr]
	if known {
		cs.order.MoveToFront(e)
	} else {
		if cs.order.Len() >= maxClients {
			oldest := cs.order.Back()
			delete(cs.known, cs.order.Remove(oldest).(*client).addr)
		}
		e = cs.order.PushFront(&client{addr, rate.NewLimiter(cs.rate, cs.burst)})
		cs.known[addr] = e
	}
	spent := e.Value.(*client).spent
	if spent.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - spent.TokensAt(now)
	return false, time.Duration(missing / float64(cs.rate) * float64(time.Second))
}

// limitRate refuses requests of clients that make too many.
func (s *Server) limitRate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		addr, ok := clientOf(c.Request().RemoteAddr)
		if !ok || s.Limits.Rate == 0 {
			return next(c)
		}
		if ok, wait := s.clients.allow(addr, s.Now()); !ok {
			s.metrics.limited.WithLabelValues(limitRate).Inc()
			c.Response().Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			return &statusError{status: http.StatusTooManyRequests, message: "too many requests from this address"}
		}
		return next(c)
	}
}

// clientOf is the client at the other end of a connection, whatever headers
// say; none where it is on this machine.
func clientOf(remote string) (netip.Addr, bool) {
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
		// One machine has a whole network of 64 bits to choose from.
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr, true
}

// contentPolicy lets an answer load nothing and run nothing. A page adds its
// own style.
const contentPolicy = "default-src 'none'; frame-ancestors 'none'"

// secure sets the headers that keep browsers from doing more with an answer
// than to show it. Strict-Transport-Security is left to whoever owns the name:
// it would hold for everything else on the host as well.
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
