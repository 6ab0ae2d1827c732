package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
)

// Store is all that is kept of notifications.
type Store interface {
	PlanStore
	DeliveryStore
	// DropNotifications deletes those that are done with, and those older
	// than a time of which no delivery to any of the webhooks is to come.
	DropNotifications(ctx context.Context, before time.Time, webhooks ...string) error
}

// Options are what a Notifier works with.
type Options struct {
	Store Store
	// Completed is filled when an operation may have completed. Nobody else
	// receives from it.
	Completed <-chan struct{}
	// Callback is where notifications are read, if the configuration does not
	// say so.
	Callback string
	// Authorization gives the value of the header of that name for each
	// delivery; nil sends none.
	Authorization func() (string, error)
	// Exploited is asked for webhooks with only_kev. Default: nothing is.
	Exploited Exploited
	// UserAgent names the sender.
	UserAgent string
	// Log defaults to nothing.
	Log *slog.Logger
}

// Notifier makes notifications and delivers them.
type Notifier struct {
	cfg Config
	Options
	hooks []*deliverer
}

// New makes a notifier. It starts nothing.
func New(cfg Config, o Options) (*Notifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Exploited == nil {
		o.Exploited = func(context.Context, *clair.Vulnerability) (bool, error) { return false, nil }
	}
	if cfg.Callback != "" {
		o.Callback = cfg.Callback
	}
	n := &Notifier{cfg: cfg, Options: o}
	for _, w := range cfg.Webhooks {
		d, err := newDeliverer(cfg, w, o)
		if err != nil {
			return nil, err
		}
		n.hooks = append(n.hooks, d)
	}
	return n, nil
}

// Run plans and delivers until the context ends, and then returns nil. What
// fails is recorded or logged, and tried again.
func (n *Notifier) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.plan(ctx) })
	if n.cfg.Enabled {
		for _, d := range n.hooks {
			g.Go(func() error { return d.run(ctx) })
		}
	}
	return g.Wait()
}

// Redeliver delivers a notification again to one of its webhooks, or to all
// where none is named. One that is not there is an ErrNotFound.
func (n *Notifier) Redeliver(ctx context.Context, id uuid.UUID, webhook string) error {
	if !n.cfg.Enabled {
		return fmt.Errorf("redeliver notification %s: %w: notifications are switched off", id, clair.ErrUnavailable)
	}
	if err := n.Store.Redeliver(ctx, id, webhook); err != nil {
		return err
	}
	n.wake()
	return nil
}

// wake makes every webhook look for deliveries.
func (n *Notifier) wake() {
	for _, d := range n.hooks {
		d.wake()
	}
}

const (
	// sweepInterval is the time between two looks for notifications to drop.
	sweepInterval = time.Hour
	// replanAfter is how long planning waits after a failure, such as a full
	// disk.
	replanAfter = 30 * time.Second
)

// plan plans what there is to plan, then waits for more.
func (n *Notifier) plan(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.Completed:
		case <-timer.C:
		}
		wait := sweepInterval
		err := n.planAll(ctx)
		if err == nil {
			err = n.Store.DropNotifications(ctx, time.Now().Add(-time.Duration(n.cfg.Keep)), n.names()...)
		}
		if err != nil && ctx.Err() == nil {
			wait = replanAfter
			n.Log.ErrorContext(ctx, "notifier failed", "err", err)
		}
		timer.Reset(wait)
	}
}

// names are the webhooks there are.
func (n *Notifier) names() []string {
	var out []string
	for _, w := range n.cfg.Webhooks {
		out = append(out, w.Name)
	}
	return out
}

// planAll plans the operations that wait for it.
func (n *Notifier) planAll(ctx context.Context) error {
	for ctx.Err() == nil {
		op, ok, err := n.Store.NextOperation(ctx)
		if err != nil || !ok {
			return err
		}
		err = n.planOne(ctx, op)
		// Deleted meanwhile: what it changed is part of the next one's.
		if err != nil && !errors.Is(err, clair.ErrNotFound) {
			return err
		}
	}
	return ctx.Err()
}

func (n *Notifier) planOne(ctx context.Context, op clair.UpdateOperation) error {
	if !n.cfg.Enabled {
		return n.Store.SkipOperation(ctx, op)
	}
	start := time.Now()
	p := &planner{
		store: n.Store, op: op, rules: rulesOf(n.cfg.Webhooks, op.Updater), summary: n.cfg.Summary, exploited: n.Exploited,
		together: summaryManifests,
	}
	var to []clair.Subscription
	for _, w := range n.cfg.Webhooks {
		to = append(to, clair.Subscription{Webhook: w.Name, View: w.view()})
	}
	id, err := n.Store.PutNotification(ctx, op, to, p.rows(ctx))
	if err != nil {
		return err
	}
	if id == uuid.Nil {
		n.Log.DebugContext(ctx, "operation affects nothing", "updater", op.Updater, "operation", op.Ref, "took", time.Since(start))
		return nil
	}
	n.Log.InfoContext(ctx, "notification made", "updater", op.Updater, "operation", op.Ref, "notification", id, "took", time.Since(start))
	n.wake()
	return nil
}
