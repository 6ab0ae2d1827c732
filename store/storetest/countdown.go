package storetest

import (
	"context"
	"sync"
)

// Countdown is a context that is cancelled once it has been asked about a
// number of times: a crash at any place, without ending the process.
type Countdown struct {
	context.Context
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

// NewCountdown returns a context that is cancelled when it is asked the n+1st
// time.
func NewCountdown(n int) *Countdown {
	ctx, cancel := context.WithCancel(context.Background())
	return &Countdown{Context: ctx, cancel: cancel, left: n}
}

// Err implements context.Context.
func (c *Countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// Done implements context.Context.
func (c *Countdown) Done() <-chan struct{} {
	_ = c.Err()
	return c.Context.Done()
}
