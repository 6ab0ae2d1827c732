package index

import (
	"context"
	"sync"
)

// flights does the work of a key once for all who ask for it at the same
// time. Work goes on as long as anybody waits for it; whoever leaves last ends
// it and sees it end, so no goroutine is left behind.
type flights[K comparable, V any] struct {
	mu sync.Mutex
	// byKey has the work under way; mu guards it and the counts.
	byKey map[K]*flight[V]
}

type flight[V any] struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{} // closed by the goroutine that works
	val     V
	err     error
}

func (f *flights[K, V]) do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, error) {
	for {
		c, joined := f.join(ctx, key, work)
		if !joined {
			// It is being ended; what comes after it starts anew.
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
			f.leave(c)
			var none V
			return none, context.Cause(ctx)
		}
	}
}

func (f *flights[K, V]) join(ctx context.Context, key K, work func(context.Context) (V, error)) (c *flight[V], joined bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c = f.byKey[key]; c != nil {
		if c.waiting == 0 {
			return c, false
		}
		c.waiting++
		return c, true
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c = &flight[V]{waiting: 1, cancel: cancel, done: make(chan struct{})}
	if f.byKey == nil {
		f.byKey = map[K]*flight[V]{}
	}
	f.byKey[key] = c
	go func() {
		defer close(c.done)
		defer cancel()
		c.val, c.err = work(own)
		f.mu.Lock()
		delete(f.byKey, key)
		f.mu.Unlock()
	}()
	return c, true
}

func (f *flights[K, V]) leave(c *flight[V]) {
	f.mu.Lock()
	c.waiting--
	last := c.waiting == 0
	f.mu.Unlock()
	if last {
		c.cancel()
		<-c.done
	}
}
