package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections is a listener that bounds how many connections are open. Where
// another comes and there is no place for it, the one that has been idle for
// the longest is closed; where all are busy, the new one waits for the first
// that is not. Otherwise clients that keep connections open without using them
// would keep all others out.
type connections struct {
	net.Listener
	// places has a place for each open connection.
	places chan struct{}
	closed chan struct{}
	close  func()

	// mu guards what follows.
	mu sync.Mutex
	// waiting says that a connection waits for a place. It is at most one:
	// the others are not accepted yet.
	waiting bool
	// idle are the idle connections, the one that has been so for the longest
	// in front, and at says where each is.
	idle *list.List
	at   map[net.Conn]*list.Element
}

func limitConnections(l net.Listener, n int) *connections {
	c := &connections{
		Listener: l, places: make(chan struct{}, n), closed: make(chan struct{}),
		idle: list.New(), at: map[net.Conn]*list.Element{},
	}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	return c
}

// Accept is net.Listener's. One goroutine calls it at a time.
func (l *connections) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.places <- struct{}{}:
	default:
		l.makeRoom()
		select {
		case l.places <- struct{}{}:
			l.setWaiting(false)
		case <-l.closed:
			c.Close()
			return nil, net.ErrClosed
		}
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close is net.Listener's. Connections stay open.
func (l *connections) Close() error {
	l.close()
	return l.Listener.Close()
}

// makeRoom closes the connection that has been idle for the longest, or the
// next that is.
func (l *connections) makeRoom() {
	l.mu.Lock()
	l.waiting = true
	oldest := l.idle.Front()
	if oldest != nil {
		l.drop(oldest.Value.(net.Conn))
	}
	l.mu.Unlock()
	if oldest != nil {
		oldest.Value.(net.Conn).Close()
	}
}

func (l *connections) setWaiting(w bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = w
}

// drop forgets that a connection is idle. mu is held.
func (l *connections) drop(c net.Conn) {
	if e, ok := l.at[c]; ok {
		l.idle.Remove(e)
		delete(l.at, c)
	}
}

// state is the server's ConnState.
func (l *connections) state(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	l.drop(c)
	idle := s == http.StateIdle
	if idle && !l.waiting {
		l.at[c] = l.idle.PushBack(c)
		idle = false
	}
	l.mu.Unlock()
	if idle {
		c.Close() // its place is waited for
	}
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	leave func()
}

// Close is net.Conn's.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
