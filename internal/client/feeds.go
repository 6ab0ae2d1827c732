package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"oriel/internal/api"
)

// pollEvery is the time between two questions of how runs of feeds are going.
const pollEvery = 500 * time.Millisecond

// Feeds returns the status of each feed by its name.
func (c *Client) Feeds(ctx context.Context) (map[string]api.FeedStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var list api.FeedList
	if err := c.json(ctx, request{method: http.MethodGet, path: api.PathFeeds}, &list); err != nil {
		return nil, err
	}
	out := map[string]api.FeedStatus{}
	for _, f := range list.Feeds {
		out[f.Name] = f
	}
	return out, nil
}

// FeedRun is a run of a feed: its status before and after it.
type FeedRun struct {
	Before, After api.FeedStatus
}

// NewOperation reports whether the run made an update operation.
func (r FeedRun) NewOperation() bool { return operation(r.After) != operation(r.Before) }

// unchanged reports whether the run succeeded and found nothing new.
func (r FeedRun) unchanged() bool {
	return r.attempted() && r.After.Error == "" && !r.NewOperation()
}

// attempted reports whether the run came to an end.
func (r FeedRun) attempted() bool {
	return r.After.LastAttempt != nil && (r.Before.LastAttempt == nil || !r.After.LastAttempt.Equal(*r.Before.LastAttempt))
}

// Interrupted reports whether the server ended the run before it finished.
func (r FeedRun) Interrupted() bool { return !r.attempted() }

func operation(f api.FeedStatus) uuid.UUID {
	if f.Operation == nil {
		return uuid.Nil
	}
	return *f.Operation
}

// RunFeeds has the server run feeds, all that are in use if none are named, calls
// done with each run as it ends, and returns all of them. It waits for those that
// are running already. If ctx ends first, the server goes on by itself.
//
// If accept is true, the named feeds take states that are held back.
func (c *Client) RunFeeds(ctx context.Context, names []string, accept bool, done func(FeedRun)) ([]FeedRun, error) {
	before, err := c.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := c.startFeeds(ctx, names, accept, before)
	if err != nil {
		return nil, err
	}
	w := waiter{before: before, done: done}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		now, err := c.Feeds(ctx)
		if err != nil {
			return w.runs, err
		}
		waiting = slices.DeleteFunc(waiting, func(name string) bool {
			if now[name].Running {
				return false
			}
			w.ended(FeedRun{before[name], now[name]})
			return true
		})
		if len(waiting) == 0 {
			w.members(now)
			return w.runs, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return w.runs, fmt.Errorf("the server goes on by itself: %w", context.Cause(ctx))
		}
	}
}

// startFeeds has the server start the feeds that are not running, and returns the
// names of all that then are.
func (c *Client) startFeeds(ctx context.Context, names []string, accept bool, before map[string]api.FeedStatus) ([]string, error) {
	var running, start []string
	for _, name := range names {
		if before[name].Running {
			running = append(running, name)
		} else {
			start = append(start, name)
		}
	}
	var started api.FeedsStarted
	if len(names) == 0 || len(start) > 0 {
		query := url.Values{"name": start}
		if accept {
			query.Set("accept", "1")
		}
		if err := c.json(ctx, request{method: http.MethodPost, path: api.PathRunFeeds + "?" + query.Encode()}, &started); err != nil {
			return nil, err
		}
	}
	waiting := append(running, started.Started...)
	for name, f := range before {
		if len(names) == 0 && f.Running && !slices.Contains(waiting, name) {
			waiting = append(waiting, name) // it is being updated anyway
		}
	}
	return waiting, nil
}

// waiter collects runs as they end. A set of feeds has no operation of its
// own: whether it brought anything shows in its members, after all runs.
type waiter struct {
	before map[string]api.FeedStatus
	done   func(FeedRun)
	runs   []FeedRun
	sets   []FeedRun
}

func (w *waiter) ended(r FeedRun) {
	w.runs = append(w.runs, r)
	if r.unchanged() && operation(r.After) == uuid.Nil {
		w.sets = append(w.sets, r)
		return
	}
	w.done(r)
}

// members adds the feeds that are not configured and that sets have updated.
// If there are none, the sets themselves are reported as unchanged.
func (w *waiter) members(now map[string]api.FeedStatus) {
	found := false
	for name, f := range now {
		if r := (FeedRun{w.before[name], f}); !f.Configured && r.NewOperation() {
			found = true
			w.runs = append(w.runs, r)
			w.done(r)
		}
	}
	if found {
		return
	}
	for _, r := range w.sets {
		w.done(r)
	}
}
