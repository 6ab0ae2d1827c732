package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// limitedListener bounds the number of open connections. If a connection
// arrives when the limit is reached, the connection that has been idle for the
// longest is closed; if all are busy, the new one waits for the first that
// becomes idle. Otherwise clients that keep unused connections open would lock
// out all others. A connection whose first request is not complete after a
// second counts as idle.
type limitedListener struct {
	net.Listener
	// slots is a semaphore with one slot for each open connection.
	slots  chan struct{}
	closed chan struct{}
	close  func() // closes closed, once

	// mu guards the fields below.
	mu sync.Mutex
	// waiting reports whether a connection waits for a slot. At most one does:
	// the others are not accepted yet.
	waiting bool
	// idle lists the idle connections, the longest idle first, among them those
	// that have sent no complete request yet; elements holds their list
	// elements.
	idle     *list.List
	elements map[net.Conn]*list.Element
}

func limitConnections(l net.Listener, n int) *limitedListener {
	c := &limitedListener{
		Listener: l,
		slots:    make(chan struct{}, n),
		closed:   make(chan struct{}),
		idle:     list.New(),
		elements: map[net.Conn]*list.Element{},
	}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	return c
}

// Accept implements net.Listener. One goroutine calls it at a time.
func (l *limitedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	default:
		if !l.waitForSlot() {
			c.Close()
			return nil, net.ErrClosed
		}
	}
	return &slotConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close implements net.Listener. It does not close connections.
func (l *limitedListener) Close() error {
	l.close()
	return l.Listener.Close()
}

// headerTime is how long a new connection is kept while others wait for its
// slot.
const headerTime = time.Second

// waitingConn is a connection without a request in progress.
type waitingConn struct {
	net.Conn
	// fresh reports whether the connection has had no request yet.
	fresh bool
	since time.Time
}

// waitForSlot takes a slot, and makes room for that if it can. It reports
// whether it did before the listener was closed.
func (l *limitedListener) waitForSlot() bool {
	defer l.setWaiting(false)
	for {
		var again <-chan time.Time
		if wait := l.closeIdle(time.Now()); wait > 0 {
			again = time.After(wait)
		}
		select {
		case l.slots <- struct{}{}:
			return true
		case <-again:
		case <-l.closed:
			return false
		}
	}
}

// closeIdle closes the connection that has been idle for the longest, or else
// the next that becomes idle. If the only such connections are new, it returns
// how long the oldest may still take to send its request.
func (l *limitedListener) closeIdle(now time.Time) (wait time.Duration) {
	l.mu.Lock()
	l.waiting = true
	var found net.Conn
	for e := l.idle.Front(); e != nil && found == nil; e = e.Next() {
		c := e.Value.(waitingConn)
		rest := c.since.Add(headerTime).Sub(now)
		if !c.fresh || rest <= 0 {
			found = c.Conn
		} else if wait == 0 {
			wait = rest
		}
	}
	if found != nil {
		l.removeIdle(found)
		wait = 0
	}
	l.mu.Unlock()
	if found != nil {
		found.Close()
	}
	return wait
}

func (l *limitedListener) setWaiting(w bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = w
}

// removeIdle removes a connection from the idle ones. The caller holds mu.
func (l *limitedListener) removeIdle(c net.Conn) {
	if e, ok := l.elements[c]; ok {
		l.idle.Remove(e)
		delete(l.elements, c)
	}
}

// connState is the server's http.Server.ConnState.
func (l *limitedListener) connState(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	l.removeIdle(c)
	idle, fresh := s == http.StateIdle, s == http.StateNew
	if fresh || idle && !l.waiting {
		l.elements[c] = l.idle.PushBack(waitingConn{c, fresh, time.Now()})
		idle = false
	}
	l.mu.Unlock()
	if idle {
		c.Close() // another connection waits for its slot
	}
}

// slotConn is a connection that holds a slot until it is closed.
type slotConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *slotConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
