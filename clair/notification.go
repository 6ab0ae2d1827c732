package clair

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Reason is how a vulnerability of a manifest changed. The words are those of
// Clair's enumeration.
type Reason string

// The reasons.
const (
	// ReasonAdded: the manifest is affected, and was not before.
	ReasonAdded Reason = "added"
	// ReasonRemoved: the manifest is no longer affected, because the advisory
	// was withdrawn or no longer covers the package.
	ReasonRemoved Reason = "removed"
	// ReasonChanged: the manifest was and is affected, and the severity or the
	// fix has changed. Clair defines this reason and never uses it.
	ReasonChanged Reason = "changed"
	// ReasonReader: the package's vulnerabilities changed because Oriel reads
	// a feed in a new way, not because the feed changed. It is listed once for a package and never notified.
	ReasonReader Reason = "reader"
)

// Impact is the effect of the difference between two states of the feeds on
// some manifests: the rows of one advisory that affected one version of one of
// their packages before, and the rows that affect it after.
type Impact struct {
	// Before and After are empty if there is no such row. They may have rows
	// of several updaters.
	Before, After []*Vulnerability
	// Reader reports that the difference is not the feed's: its rows were read
	// again by a reader of another revision. Such an impact stands for all of
	// them on the package.
	Reader bool
	// Version is the installed version of the package.
	Version   string
	Manifests []Digest
}

// NotificationRow is a planned row of a notification. It refers to
// vulnerabilities by their ids in the store.
type NotificationRow struct {
	// View is "" for a row that all webhooks without a rule are told, or the
	// name of the webhook whose rule selected the row.
	View     string
	Manifest Digest
	Reason   Reason
	// Version is the installed version of the affected package.
	Version string
	// Vulnerability is the id of the row's vulnerability. If the reason is
	// ReasonChanged, Previous is that of its earlier state, else "".
	Vulnerability, Previous string
}

// Notification is one row of a stored notification: one vulnerability of one
// manifest.
type Notification struct {
	// ID is the row's; the zero value if it has none.
	ID            uuid.UUID
	Manifest      Digest
	Reason        Reason
	Vulnerability *Vulnerability
	// Version is the installed version of the affected package.
	Version string
	// Previous is the earlier state of the vulnerability if the reason is
	// ReasonChanged, else nil.
	Previous *Vulnerability
}

// vulnSummary is a vulnerability as Clair's notifications have it. Clair's
// server and its own schema disagree about two keys, and clients read either
// one, so both are written.
type vulnSummary struct {
	Name               string        `json:"name"`
	Description        string        `json:"description"`
	Package            *Package      `json:"package,omitempty"`
	Distribution       *Distribution `json:"distribution,omitempty"`
	Repo               *Repository   `json:"repo,omitempty"`
	Repository         *Repository   `json:"repository,omitempty"`
	Severity           Severity      `json:"severity"`
	NormalizedSeverity Severity      `json:"normalized_severity"`
	FixedInVersion     string        `json:"fixed_in_version"`
	Links              string        `json:"links"`
	Updater            string        `json:"updater"`
}

// previously is the earlier state of a vulnerability.
type previously struct {
	NormalizedSeverity Severity `json:"normalized_severity"`
	FixedInVersion     string   `json:"fixed_in_version"`
}

// MarshalJSON writes Clair's form, and the installed version and the earlier
// state in addition to Clair's keys.
func (n Notification) MarshalJSON() ([]byte, error) {
	v := n.Vulnerability.Outward()
	out := struct {
		ID               string      `json:"id,omitempty"`
		Manifest         Digest      `json:"manifest"`
		Reason           Reason      `json:"reason"`
		Vulnerability    vulnSummary `json:"vulnerability"`
		InstalledVersion string      `json:"installed_version,omitempty"`
		Previous         *previously `json:"previous,omitempty"`
	}{
		Manifest: n.Manifest, Reason: n.Reason, InstalledVersion: n.Version,
		Vulnerability: vulnSummary{
			Name: v.Name, Description: v.Description, Package: v.Package, Distribution: v.Dist, Repo: v.Repo, Repository: v.Repo,
			Severity: v.NormalizedSeverity, NormalizedSeverity: v.NormalizedSeverity,
			FixedInVersion: v.FixedInVersion, Links: v.Links, Updater: v.Updater,
		},
	}
	if n.ID != uuid.Nil {
		out.ID = n.ID.String()
	}
	if n.Previous != nil {
		out.Previous = &previously{n.Previous.NormalizedSeverity, n.Previous.Outward().FixedInVersion}
	}
	return json.Marshal(out)
}

// NotificationPage is a page of the rows of a notification.
type NotificationPage struct {
	Notifications []Notification
	// Next is the id of the page's last row, which selects the page after it;
	// uuid.Nil if there is none.
	Next uuid.UUID
}

// NotificationSet is a whole notification: the effect of one update operation
// on the stored manifests, and the state of its deliveries.
type NotificationSet struct {
	ID uuid.UUID `json:"id"`
	// Operation is the update operation; it has at most one set.
	Operation uuid.UUID `json:"operation"`
	Updater   string    `json:"updater"`
	Date      time.Time `json:"date"`
	Rows      int64     `json:"rows"`
	// Deleted reports that all receivers are done with it, so that it will be
	// collected.
	Deleted  bool      `json:"deleted"`
	Receipts []Receipt `json:"webhooks"`
}

// ReceiptStatus is the state of the delivery of a notification to one webhook.
type ReceiptStatus string

// The states of a receipt, in Clair's words.
const (
	// ReceiptCreated: no delivery has been attempted to its end.
	ReceiptCreated ReceiptStatus = "created"
	// ReceiptDelivered: the receiver has accepted it.
	ReceiptDelivered ReceiptStatus = "delivered"
	// ReceiptFailed: the last delivery failed. Another follows, unless it was
	// given up.
	ReceiptFailed ReceiptStatus = "delivery_failed"
	// ReceiptDeleted: the receiver has read the notification and deleted it.
	// This state is final.
	ReceiptDeleted ReceiptStatus = "deleted"
)

// Receipt is the delivery of a notification to one webhook. Times that are not
// known yet are zero.
type Receipt struct {
	Webhook string `json:"webhook"`
	// View selects the rows for the webhook: its own, or "" for the common
	// ones.
	View   string        `json:"-"`
	Status ReceiptStatus `json:"status"`
	Rows   int64         `json:"rows"`
	// Attempts counts the deliveries since Since, including the last one.
	Attempts    int       `json:"attempts"`
	Since       time.Time `json:"since"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	// NextAttempt is zero if there will be none: it was delivered or given up.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Error is why the last attempt failed, "" if it did not.
	Error string `json:"error"`
}

// Delivery is a receipt that is due now or later, of the set with the ID.
type Delivery struct {
	ID      uuid.UUID
	Updater string
	Receipt
}

// Subscription is a webhook that gets receipts, and the view of its rows.
type Subscription struct{ Webhook, View string }

// ChangeSet is the changes for manifests since some moment.
type ChangeSet struct {
	// Partial has the names of the updaters whose operations do not go back so
	// far. Their changes are those since their oldest operation.
	Partial []string
	// Impacts may be ranged over until Close.
	Impacts iter.Seq2[Impact, error]
	// Close releases the rows. The caller must call it.
	Close func()
}

// Since is the moment after which changes are listed: a time, or an update
// operation, which selects the changes of its updater alone.
type Since struct {
	Time      time.Time
	Operation uuid.UUID
}

// ParseSince reads a moment: a time (RFC 3339), a duration before now ("24h"),
// or the ref of an update operation. The error is an ErrInvalid.
func ParseSince(text string, now time.Time) (Since, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return Since{Time: t}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return Since{Time: now.Add(-d)}, nil
	}
	if id, err := uuid.Parse(text); err == nil && id != uuid.Nil {
		return Since{Operation: id}, nil
	}
	return Since{}, Invalid("since", "%.60q is not a time such as %s, a duration such as 24h or an update operation",
		text, now.UTC().Format(time.RFC3339))
}
