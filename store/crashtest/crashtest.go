// Package crashtest ends work at any place, as a crash would, without ending
// the process.
package crashtest

import (
	"context"
	"sync"
)

// Context is a context that is cancelled once it has been asked about a
// number of times.
type Context struct {
	context.Context
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

// After returns a context within parent that is cancelled when it is asked for
// the time after the n-th. The caller ends it with Cancel.
func After(parent context.Context, n int) *Context {
	ctx, cancel := context.WithCancel(parent)
	return &Context{
		Context: ctx,
		cancel:  cancel,
		left:    n,
	}
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	_ = c.Err()
	return c.Context.Done()
}

// Cancel ends the context.
func (c *Context) Cancel() { c.cancel() }
