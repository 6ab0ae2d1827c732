package scanner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"

	"oriel/internal/client"
)

// pause waits between requests: for the time that the server names, otherwise
// with exponential backoff, and with jitter in both cases.
type pause struct {
	backoff *backoff.ExponentialBackOff
	giveUp  time.Duration
	// failing is the time of the first failure since the last success; zero if
	// the last request succeeded.
	failing time.Time
}

const (
	minPause = 100 * time.Millisecond
	maxPause = 15 * time.Second
)

func newPause(giveUp time.Duration) *pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = minPause, maxPause
	b.Reset()
	return &pause{backoff: b, giveUp: giveUp}
}

// until repeats a request until it succeeds, fails permanently, or has failed
// for too long.
func (p *pause) until(ctx context.Context, request func() error) error {
	for {
		err := request()
		refused, isRefused := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			p.failing = time.Time{}
			p.backoff.Reset()
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isRefused && !refused.Temporary(), errors.Is(err, client.ErrUnreadable):
			return err
		}
		after := time.Duration(0)
		if isRefused {
			after = refused.RetryAfter
		}
		if err := p.wait(ctx, after, err); err != nil {
			return err
		}
	}
}

// wait waits for about d, or for the next backoff interval if d is 0. If
// requests have failed for longer than giveUp, it returns the failure instead.
func (p *pause) wait(ctx context.Context, d time.Duration, failure error) error {
	if failure != nil && p.failing.IsZero() {
		p.failing = time.Now()
	}
	if failure != nil && time.Since(p.failing) > p.giveUp {
		return fmt.Errorf("gave up after %v: %w", p.giveUp, failure)
	}
	if d <= 0 {
		d = p.backoff.NextBackOff()
	} else {
		d = jitter(d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter varies a duration by a quarter.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}
