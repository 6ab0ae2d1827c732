package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/api"
)

// DeliveryStore stores the progress of deliveries.
type DeliveryStore interface {
	// NextDelivery returns the next delivery to a webhook, whether or not it is
	// due.
	NextDelivery(ctx context.Context, webhook string) (d clair.Delivery, ok bool, err error)
	// BeginDelivery records that an attempt begins. ok is false if no attempt
	// should be made.
	BeginDelivery(ctx context.Context, id uuid.UUID, webhook string) (ok bool, err error)
	// EndDelivery records the result of an attempt, unless the receipt was
	// deleted.
	EndDelivery(ctx context.Context, id uuid.UUID, webhook string, status clair.ReceiptStatus, next time.Time, reason string) error
	Redeliver(ctx context.Context, id uuid.UUID, webhook string) error
	NotificationPage(ctx context.Context, id uuid.UUID, webhook string, after uuid.UUID, limit int) (clair.NotificationPage, error)
}

// deliverer delivers to one webhook, one notification at a time.
type deliverer struct {
	cfg      Config
	hook     Webhook
	callback string
	store    DeliveryStore
	poster   *poster
	// notCovered is that of Options.
	notCovered func(context.Context) ([]clair.Place, error)
	log        *slog.Logger
	// woken gets a value when there may be something to deliver. It is never
	// closed.
	woken chan struct{}
}

func newDeliverer(cfg Config, w Webhook, o Options) (*deliverer, error) {
	p, err := newPoster(w, time.Duration(cfg.Timeout), o)
	if err != nil {
		return nil, err
	}
	callback := strings.TrimSuffix(o.Callback, "/") + "/"
	if w.filtered() {
		callback += w.Name + "/" // its own rows are read there
	}
	return &deliverer{
		cfg:        cfg,
		hook:       w,
		callback:   callback,
		store:      o.Store,
		poster:     p,
		notCovered: o.NotCovered,
		log:        o.Log,
		woken:      make(chan struct{}, 1),
	}, nil
}

func (d *deliverer) wake() {
	select {
	case d.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// lookAgain is the delay after a failure of the database.
const lookAgain = 10 * time.Second

// run makes due deliveries until the context ends.
func (d *deliverer) run(ctx context.Context) error {
	defer d.poster.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.woken:
		case <-timer.C:
		}
		timer.Stop()
		wait, err := d.due(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "delivery failed", "webhook", d.hook.Name, "err", err)
			wait = lookAgain
		}
		if wait >= 0 {
			timer.Reset(wait)
		}
	}
}

// due makes all due deliveries and returns the time until the next one,
// negative if there is none.
func (d *deliverer) due(ctx context.Context) (time.Duration, error) {
	for {
		next, ok, err := d.store.NextDelivery(ctx, d.hook.Name)
		if err != nil {
			return 0, err
		}
		if !ok {
			return -1, nil
		}
		if wait := time.Until(next.NextAttempt); wait > 0 {
			return wait, nil
		}
		if err := d.deliver(ctx, next); err != nil {
			return 0, err
		}
	}
}

// deliver makes one attempt. A failed attempt is recorded, not returned as an
// error.
func (d *deliverer) deliver(ctx context.Context, next clair.Delivery) error {
	body, err := d.body(ctx, next)
	if err != nil {
		return err
	}
	ok, err := d.store.BeginDelivery(ctx, next.ID, d.hook.Name)
	if err != nil || !ok {
		return err
	}
	out := d.poster.post(ctx, next.ID.String(), body)
	if ctx.Err() != nil && out.err != nil {
		return nil // Oriel is being stopped, which says nothing of the receiver
	}
	attempts := next.Attempts + 1
	if out.err == nil {
		d.log.InfoContext(ctx, "notification delivered", "webhook", d.hook.Name, "notification", next.ID, "attempts", attempts)
		// The delivery succeeded, even if Oriel is stopping.
		return d.store.EndDelivery(context.WithoutCancel(ctx), next.ID, d.hook.Name, clair.ReceiptDelivered, time.Time{}, "")
	}
	at := d.retryAt(next, attempts, out)
	reason := out.err.Error()
	if at.IsZero() {
		reason = "given up: " + reason
	}
	d.log.WarnContext(ctx, "notification not delivered", "webhook", d.hook.Name, "notification", next.ID, "attempts", attempts, "next", at, "err", out.err)
	return d.store.EndDelivery(ctx, next.ID, d.hook.Name, clair.ReceiptFailed, at, reason)
}

// retryAt returns the time of the next attempt, or the zero time for never.
func (d *deliverer) retryAt(next clair.Delivery, attempts int, out outcome) time.Time {
	end := next.Since.Add(time.Duration(d.cfg.GiveUp))
	now := time.Now()
	if out.gone || !now.Before(end) {
		return time.Time{}
	}
	at := now.Add(max(backoff(time.Duration(d.cfg.RetryMin), time.Duration(d.cfg.RetryMax), attempts), out.retryAfter))
	if at.After(end) {
		return end // one last attempt
	}
	return at
}

// backoff returns the delay after some attempts: it doubles from least to
// most, less a random part of up to a half, so that receivers that failed
// together are not tried together.
func backoff(least, most time.Duration, attempts int) time.Duration {
	wait := least
	for i := 1; i < attempts && wait < most; i++ {
		wait *= 2
	}
	wait = min(wait, most)
	return wait - time.Duration(rand.Int64N(int64(wait)/2+1))
}

// fullRows is the maximal number of rows in a delivery of FormatFull. The rest
// is read page by page.
const fullRows = 500

// callback is the body of a delivery, as Clair has it.
type callback struct {
	ID       uuid.UUID `json:"notification_id"`
	Callback string    `json:"callback"`
}

// full is the body of a delivery of FormatFull.
type full struct {
	callback
	Updater       string               `json:"updater"`
	Page          page                 `json:"page"`
	Notifications []clair.Notification `json:"notifications"`
	// NotCovered are the places of all manifests' packages that no feed covers,
	// null if they have not been counted yet.
	NotCovered []api.NotCoveredPlace `json:"not_covered"`
}

type page struct {
	Size int    `json:"size"`
	Next string `json:"next,omitempty"`
}

func (d *deliverer) body(ctx context.Context, next clair.Delivery) ([]byte, error) {
	c := callback{next.ID, d.callback + next.ID.String()}
	if cmp.Or(d.hook.Format, FormatClair) == FormatClair {
		return encode(c)
	}
	rows, err := d.store.NotificationPage(ctx, next.ID, d.hook.Name, uuid.Nil, fullRows)
	if err != nil {
		return nil, err
	}
	places, err := d.notCovered(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the places that are not covered: %w", err)
	}
	out := full{
		callback:      c,
		Updater:       next.Updater,
		Page:          page{Size: fullRows},
		Notifications: rows.Notifications,
		NotCovered:    api.NewNotCovered(places),
	}
	if rows.Next != uuid.Nil {
		out.Page.Next = rows.Next.String()
	}
	return encode(out)
}

// encode writes JSON that leaves "&" and "<" as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write the body of a delivery: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
