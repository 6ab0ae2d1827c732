package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/server"
	"oriel/updater"
)

// pollEvery is how often a server is asked how the runs of feeds go.
const pollEvery = 500 * time.Millisecond

// feeds asks how the feeds are doing, by name.
func (d *daemon) feeds(ctx context.Context) (map[string]server.FeedStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var list server.FeedList
	if err := d.call(ctx, http.MethodGet, "/matcher/api/v1/feeds", &list); err != nil {
		return nil, err
	}
	out := map[string]server.FeedStatus{}
	for _, f := range list.Feeds {
		out[f.Name] = f
	}
	return out, nil
}

// update has the server run feeds, all that are enabled where none are named,
// hands each result to show as it comes, and returns when all are done. Where
// ctx ends, the server goes on.
func (d *daemon) update(ctx context.Context, names []string, show func(updater.Result)) ([]updater.Result, error) {
	before, err := d.feeds(ctx)
	if err != nil {
		return nil, err
	}
	var started server.FeedsStarted
	query := url.Values{"name": names}
	if err := d.call(ctx, http.MethodPost, "/matcher/api/v1/feeds/run?"+query.Encode(), &started); err != nil {
		return nil, err
	}
	waiting := started.Started
	for name, f := range before {
		if len(names) == 0 && f.Running && !slices.Contains(waiting, name) {
			waiting = append(waiting, name) // it is being updated anyhow
		}
	}
	// sets have no operations of their own: they are unchanged where nothing
	// that they bring has changed.
	var results, sets []updater.Result
	for tick := time.NewTicker(pollEvery); ; {
		now, err := d.feeds(ctx)
		if err != nil {
			tick.Stop()
			return results, err
		}
		waiting = slices.DeleteFunc(waiting, func(name string) bool {
			if now[name].Running {
				return false
			}
			r := resultOf(before[name], now[name])
			results = append(results, r)
			if r.Unchanged() && ref(now[name]) == uuid.Nil {
				sets = append(sets, r)
			} else {
				show(r)
			}
			return true
		})
		if len(waiting) == 0 {
			tick.Stop()
			members := membersOf(before, now, show)
			if len(members) == 0 {
				for _, r := range sets {
					show(r)
				}
			}
			return append(results, members...), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return results, fmt.Errorf("the server goes on without us: %w", context.Cause(ctx))
		}
	}
}

// membersOf gives the results of feeds that are not configured, which others
// have brought.
func membersOf(before, now map[string]server.FeedStatus, show func(updater.Result)) []updater.Result {
	var results []updater.Result
	for name, f := range now {
		if !f.Configured && ref(f) != ref(before[name]) {
			results = append(results, resultOf(before[name], f))
			show(results[len(results)-1])
		}
	}
	return results
}

// resultOf tells how a run went by how the feed was and is doing.
func resultOf(before, now server.FeedStatus) updater.Result {
	r := updater.Result{Updater: now.Name, Took: time.Duration(now.TookMS) * time.Millisecond}
	switch {
	case now.LastAttempt == nil || before.LastAttempt != nil && now.LastAttempt.Equal(*before.LastAttempt):
		r.Err = fmt.Errorf("%w: the server broke the run off", clair.ErrUnavailable)
	case now.Error != "":
		r.Err = errors.New(plain(now.Error))
	case ref(now) != ref(before):
		r.Operations = []clair.UpdateResult{{
			UpdateOperation: clair.UpdateOperation{Ref: ref(now), Updater: now.Name, Kind: now.Kind},
			Added:           now.Added, Removed: now.Removed, Unchanged: now.Records - now.Added,
		}}
		r.Skipped, r.Sample = now.Skipped, plain(now.SkippedSample)
	}
	return r
}

func ref(f server.FeedStatus) uuid.UUID {
	if f.Operation == nil {
		return uuid.Nil
	}
	return *f.Operation
}
