package outbox_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/storetest"
)

// notify makes a notification with one row, for some webhooks.
func notify(t *testing.T, db *store.DB, webhooks ...string) uuid.UUID {
	t.Helper()
	feed := func(yield func(*clair.Vulnerability, error) bool) {
		yield(&clair.Vulnerability{Name: "A", Package: &clair.Package{Name: "p"}}, nil)
	}
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(func(*clair.Vulnerability, error) bool) {})
	require.NoError(t, err)
	_, _, err = db.NextOperation(t.Context()) // marks the first
	require.NoError(t, err)
	op, err := db.UpdateVulnerabilities(t.Context(), "u", "", feed)
	require.NoError(t, err)
	snapshot, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer snapshot.Close()
	var id string
	for v, err := range snapshot.Vulnerabilities(t.Context(), "u") {
		require.NoError(t, err)
		id = v.ID
	}
	var to []clair.Subscription
	for _, w := range webhooks {
		to = append(to, clair.Subscription{Webhook: w})
	}
	var rows iter.Seq2[clair.NotificationRow, error] = func(yield func(clair.NotificationRow, error) bool) {
		yield(clair.NotificationRow{
			Manifest:      "sha256:0",
			Reason:        clair.ReasonAdded,
			Version:       "1",
			Vulnerability: id,
		}, nil)
	}
	set, err := db.PutNotification(t.Context(), op.UpdateOperation, to, rows)
	require.NoError(t, err)
	require.NotZero(t, set)
	return set
}

func receipt(t *testing.T, db *store.DB, webhook string) clair.Receipt {
	t.Helper()
	sets, err := db.Notifications(t.Context(), uuid.Nil, 10)
	require.NoError(t, err)
	require.Len(t, sets, 1)
	for _, r := range sets[0].Receipts {
		if r.Webhook == webhook {
			return r
		}
	}
	require.Fail(t, "no receipt", webhook)
	return clair.Receipt{}
}

// A receipt changes only from a state that the change is for, whatever happened
// to it between reading and writing.
func TestOutbox_Receipt(t *testing.T) {
	const hook = "hook"
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	begin := func(want bool) func(*testing.T, *store.DB, uuid.UUID) {
		return func(t *testing.T, db *store.DB, id uuid.UUID) {
			ok, err := db.BeginDelivery(context.Background(), id, hook)
			require.NoError(t, err)
			require.Equal(t, want, ok)
		}
	}
	end := func(status clair.ReceiptStatus, next time.Time, reason string) func(*testing.T, *store.DB, uuid.UUID) {
		return func(t *testing.T, db *store.DB, id uuid.UUID) {
			require.NoError(t, db.EndDelivery(context.Background(), id, hook, status, next, reason))
		}
	}
	remove := func(webhook string) func(*testing.T, *store.DB, uuid.UUID) {
		return func(t *testing.T, db *store.DB, id uuid.UUID) {
			require.NoError(t, db.DeleteNotification(context.Background(), id, webhook))
		}
	}
	again := func(t *testing.T, db *store.DB, id uuid.UUID) {
		require.NoError(t, db.Redeliver(context.Background(), id, hook))
	}
	type step = func(*testing.T, *store.DB, uuid.UUID)
	for _, c := range []struct {
		name     string
		webhooks []string
		steps    []step
		status   clair.ReceiptStatus
		attempts int
		error    string
		next     bool // another attempt follows
		deleted  bool // the set
	}{
		{
			name: "delivered", steps: []step{begin(true), end(clair.ReceiptDelivered, time.Time{}, "")},
			status: clair.ReceiptDelivered, attempts: 1,
		},
		{
			name: "failed", steps: []step{begin(true), end(clair.ReceiptFailed, later, "no")},
			status: clair.ReceiptFailed, attempts: 1, error: "no", next: true,
		},
		{
			name: "given_up_has_no_attempt", steps: []step{begin(true), end(clair.ReceiptFailed, time.Time{}, "no"), begin(false)},
			status: clair.ReceiptFailed, attempts: 1, error: "no",
		},
		{
			name: "delivered_has_no_attempt", steps: []step{begin(true), end(clair.ReceiptDelivered, time.Time{}, ""), begin(false)},
			status: clair.ReceiptDelivered, attempts: 1,
		},
		{
			name: "deleted_before_the_attempt", steps: []step{remove(hook), begin(false)},
			status: clair.ReceiptDeleted, deleted: true,
		},
		{
			name: "deleted_during_a_delivery", steps: []step{begin(true), remove(hook), end(clair.ReceiptDelivered, time.Time{}, "")},
			status: clair.ReceiptDeleted, attempts: 1, deleted: true,
		},
		{
			name: "deleted_during_an_attempt_that_fails", steps: []step{begin(true), remove(hook), end(clair.ReceiptFailed, later, "no")},
			status: clair.ReceiptDeleted, attempts: 1, deleted: true,
		},
		{
			name: "deleted_by_someone_during_a_delivery", webhooks: []string{"other"},
			steps:  []step{begin(true), remove(""), end(clair.ReceiptDelivered, time.Time{}, "")},
			status: clair.ReceiptDeleted, attempts: 1,
		},
		{
			name: "deleted_by_someone_during_an_attempt_that_fails", webhooks: []string{"other"},
			steps:  []step{begin(true), remove(""), end(clair.ReceiptFailed, later, "no")},
			status: clair.ReceiptFailed, attempts: 1, error: "no", next: true,
		},
		{
			name: "deleted_by_another", webhooks: []string{"other"}, steps: []step{remove("other"), begin(true)},
			status: clair.ReceiptCreated, attempts: 1, next: true,
		},
		{
			name: "redelivered", steps: []step{begin(true), remove(hook), end(clair.ReceiptDelivered, time.Time{}, ""), again},
			status: clair.ReceiptCreated, next: true,
		},
		{
			name: "redelivered_during_a_delivery", steps: []step{begin(true), again, begin(true), end(clair.ReceiptDelivered, time.Time{}, "")},
			status: clair.ReceiptDelivered, attempts: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := storetest.Open(t)
			id := notify(t, db, append([]string{hook}, c.webhooks...)...)
			for _, s := range c.steps {
				s(t, db, id)
			}
			r := receipt(t, db, hook)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.attempts, r.Attempts)
			require.Equal(t, c.error, r.Error)
			require.Equal(t, c.next, !r.NextAttempt.IsZero())
			_, due, err := db.NextDelivery(t.Context(), hook)
			require.NoError(t, err)
			require.Equal(t, c.next, due)
			sets, err := db.Notifications(t.Context(), uuid.Nil, 10)
			require.NoError(t, err)
			require.Equal(t, c.deleted, sets[0].Deleted)
		})
	}
}
