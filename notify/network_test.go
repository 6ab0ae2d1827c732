package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// network connects notifiers and receivers in memory: a bubble cannot know
// whether bytes are under way in a real one, so its time would not pass.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
}

// listen opens an address for a test.
func (n *network) listen(t *testing.T) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	l := &listener{
		address: fmt.Sprintf("127.0.0.1:%d", 1000+len(n.listeners)),
		conns:   make(chan net.Conn),
		closed:  make(chan struct{}),
	}
	n.listeners[l.address] = l
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// dial connects to a listener. Nobody listens elsewhere.
func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	refused := &net.OpError{
		Op:  "dial",
		Net: network,
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
	if l == nil {
		return nil, refused
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listener is a net.Listener.
type listener struct {
	address string
	conns   chan net.Conn // nobody closes it
	once    sync.Once
	closed  chan struct{} // Close does
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// delivery is a delivery that a receiver got.
type delivery struct {
	header http.Header
	body   string
}

// receiver is an endpoint that keeps what it gets.
type receiver struct {
	URL string
	mu  sync.Mutex
	got []delivery
}

// receiver starts a receiver that answers the n-th delivery, from 0, with the
// function.
func (w *world) receiver(answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	w.Helper()
	l := w.net.listen(w.T)
	rc := &receiver{URL: "http://" + l.address}
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rc.mu.Lock()
		n := len(rc.got)
		rc.got = append(rc.got, delivery{r.Header, string(body)})
		rc.mu.Unlock()
		if answer != nil {
			answer(n, rw, r)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	w.Cleanup(func() {
		require.NoError(w, s.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			require.ErrorIs(w, err, net.ErrClosed)
		}
	})
	return rc
}

func (rc *receiver) deliveries() []delivery {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]delivery(nil), rc.got...)
}
