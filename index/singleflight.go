package index

import (
	"context"
	"sync"
)

// group does the work of a key once for all concurrent callers. In contrast to
// golang.org/x/sync/singleflight, the work is cancelled when the last caller
// gives up, and that caller waits for it to end, so no goroutine is left
// behind.
type group[K comparable, V any] struct {
	mu sync.Mutex
	// byKey has the calls in progress; mu guards it and the counts.
	byKey map[K]*call[V]
}

type call[V any] struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{} // closed by the goroutine that does the work
	val     V
	err     error
}

func (g *group[K, V]) do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, error) {
	for {
		c, joined := g.join(ctx, key, work)
		if !joined {
			// It is being cancelled; start again after it.
			select {
			case <-c.done:
				continue
			case <-ctx.Done():
				var none V
				return none, context.Cause(ctx)
			}
		}
		select {
		case <-c.done:
			return c.val, c.err
		case <-ctx.Done():
			g.leave(c)
			var none V
			return none, context.Cause(ctx)
		}
	}
}

func (g *group[K, V]) join(ctx context.Context, key K, work func(context.Context) (V, error)) (c *call[V], joined bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c = g.byKey[key]; c != nil {
		if c.waiting == 0 {
			return c, false
		}
		c.waiting++
		return c, true
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c = &call[V]{waiting: 1, cancel: cancel, done: make(chan struct{})}
	if g.byKey == nil {
		g.byKey = map[K]*call[V]{}
	}
	g.byKey[key] = c
	go func() {
		defer close(c.done)
		defer cancel()
		c.val, c.err = work(own)
		g.mu.Lock()
		delete(g.byKey, key)
		g.mu.Unlock()
	}()
	return c, true
}

func (g *group[K, V]) leave(c *call[V]) {
	g.mu.Lock()
	c.waiting--
	last := c.waiting == 0
	g.mu.Unlock()
	if last {
		c.cancel()
		<-c.done
	}
}
