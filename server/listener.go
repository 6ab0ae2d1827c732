package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// limitedListener bounds the number of open connections. If a connection
// arrives when the limit is reached, the connection that has been idle for the
// longest is closed; if all are busy, the new one waits for the first that
// becomes idle. Otherwise clients that keep unused connections open would lock
// out all others.
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
	// idle lists the idle connections, the longest idle first; elements holds
	// their list elements.
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
		l.closeIdle()
		select {
		case l.slots <- struct{}{}:
			l.setWaiting(false)
		case <-l.closed:
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

// closeIdle closes the connection that has been idle for the longest, or else
// the next that becomes idle.
func (l *limitedListener) closeIdle() {
	l.mu.Lock()
	l.waiting = true
	oldest := l.idle.Front()
	if oldest != nil {
		l.removeIdle(oldest.Value.(net.Conn))
	}
	l.mu.Unlock()
	if oldest != nil {
		oldest.Value.(net.Conn).Close()
	}
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
	idle := s == http.StateIdle
	if idle && !l.waiting {
		l.elements[c] = l.idle.PushBack(c)
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
