package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
)

// Store stores notifications.
type Store interface {
	PlanStore
	DeliveryStore
	// DropNotifications deletes deleted notifications, and those older than a
	// time of which no delivery to any of the webhooks is pending.
	DropNotifications(ctx context.Context, before time.Time, webhooks ...string) error
}

// Options are the parts of a Notifier.
type Options struct {
	Store Store
	// Completed gets a value when an operation may have completed. Only the
	// Notifier receives from it.
	Completed <-chan struct{}
	// Callback is the address of notifications if the configuration has none.
	Callback string
	// Authorization returns the value of the Authorization header of a
	// delivery; if it is nil, there is no header.
	Authorization func() (string, error)
	// Exploited is used by webhooks with only_kev. If it is nil, no
	// vulnerability is exploited.
	Exploited Exploited
	// NotCovered returns the places of all manifests' packages that no feed
	// covers, nil if they have not been counted yet. Deliveries of FormatFull
	// list them. If it is nil, it returns nil.
	NotCovered func(context.Context) ([]clair.Place, error)
	// UserAgent names the sender.
	UserAgent string
	// Dial connects to receivers. Default: net.Dialer.DialContext, within the
	// timeout of a delivery.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log is the logger. Default: none.
	Log *slog.Logger
}

// Notifier plans and delivers notifications.
type Notifier struct {
	cfg Config
	Options
	hooks []*deliverer
}

// New returns a notifier. It starts nothing.
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
	if o.NotCovered == nil {
		o.NotCovered = func(context.Context) ([]clair.Place, error) { return nil, nil }
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

// Run plans and delivers until the context ends, and then returns nil.
// Failures are recorded or logged, and retried.
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

// Redeliver delivers a notification again to one of its webhooks, or to all if
// none is named. If it does not exist, the error is an ErrNotFound.
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

// wake makes every webhook check for deliveries.
func (n *Notifier) wake() {
	for _, d := range n.hooks {
		d.wake()
	}
}

const (
	// sweepInterval is the time between two deletions of old notifications.
	sweepInterval = time.Hour
	// replanAfter is the delay of planning after a failure, such as a full
	// disk.
	replanAfter = 30 * time.Second
)

// plan plans operations as they complete.
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

// names returns the names of the webhooks.
func (n *Notifier) names() []string {
	var out []string
	for _, w := range n.cfg.Webhooks {
		out = append(out, w.Name)
	}
	return out
}

// planAll plans all pending operations.
func (n *Notifier) planAll(ctx context.Context) error {
	for ctx.Err() == nil {
		op, ok, err := n.Store.NextOperation(ctx)
		if err != nil || !ok {
			return err
		}
		err = n.planOne(ctx, op)
		// It was deleted in the meantime: its changes are part of the next one.
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
		store:     n.Store,
		op:        op,
		rules:     rulesOf(n.cfg.Webhooks, op.Updater),
		summary:   n.cfg.Summary,
		exploited: n.Exploited,
		together:  summaryManifests,
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
