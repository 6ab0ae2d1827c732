package clair

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Reason says what became of a vulnerability for a manifest. The words are
// those of Clair's enumeration.
type Reason string

// The reasons.
const (
	// ReasonAdded: the manifest is affected, and was not before.
	ReasonAdded Reason = "added"
	// ReasonRemoved: the manifest is no longer affected, because the advisory
	// was withdrawn or no longer covers the package.
	ReasonRemoved Reason = "removed"
	// ReasonChanged: the manifest was and is affected, and the severity or
	// the fix is another. Clair names this reason and never gives it.
	ReasonChanged Reason = "changed"
)

// Impact is what the difference between two states of the feeds means for some
// manifests: the rows of one advisory by which one version of one package of
// theirs was affected before, and those by which it is after.
type Impact struct {
	// Before and After are empty where there is no such row. They may have
	// rows of several updaters.
	Before, After []*Vulnerability
	// Version is the package's, as the manifests have it installed.
	Version   string
	Manifests []Digest
}

// NotificationRow is a row of a notification as it is planned. Its
// vulnerabilities are named by their ids in the store.
type NotificationRow struct {
	// View is "" for what everyone is told, or names the webhook whose rule
	// chose the row.
	View     string
	Manifest Digest
	Reason   Reason
	// Version is the affected package's, as it is installed.
	Version string
	// Vulnerability is the row's; Previous is what it was before where the
	// reason is ReasonChanged, else "".
	Vulnerability, Previous string
}

// Notification is one row of a notification as it is read: one vulnerability
// of one manifest.
type Notification struct {
	// ID is the row's; the zero value where it has none.
	ID            uuid.UUID
	Manifest      Digest
	Reason        Reason
	Vulnerability *Vulnerability
	// Version is the affected package's, as it is installed.
	Version string
	// Previous is what the vulnerability was before where the reason is
	// ReasonChanged, else nil.
	Previous *Vulnerability
}

// vulnSummary is a vulnerability as Clair's notifications have it. Clair's
// server and its own schema disagree about two keys, and clients read either:
// both are there.
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

// previously is what is told of a vulnerability as it was before.
type previously struct {
	NormalizedSeverity Severity `json:"normalized_severity"`
	FixedInVersion     string   `json:"fixed_in_version"`
}

// MarshalJSON writes Clair's form, with the installed version and what was
// before beside Clair's keys.
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
	// Next is the id of the page's last row, which asks for the page after
	// it; uuid.Nil where there is none.
	Next uuid.UUID
}

// NotificationSet is a notification as a whole: what one update operation
// meant for the manifests there were, and who has been told.
type NotificationSet struct {
	ID uuid.UUID `json:"id"`
	// Operation is the update operation's, of which there is one set at most.
	Operation uuid.UUID `json:"operation"`
	Updater   string    `json:"updater"`
	Date      time.Time `json:"date"`
	Rows      int64     `json:"rows"`
	// Deleted says that its receivers are done with it, so that it goes soon.
	Deleted  bool      `json:"deleted"`
	Receipts []Receipt `json:"webhooks"`
}

// ReceiptStatus is how far the delivery of a notification to one webhook is.
type ReceiptStatus string

// The states of a receipt, in Clair's words.
const (
	// ReceiptCreated: no delivery has ended yet.
	ReceiptCreated ReceiptStatus = "created"
	// ReceiptDelivered: the receiver has answered that it has it.
	ReceiptDelivered ReceiptStatus = "delivered"
	// ReceiptFailed: the last delivery failed. Another follows, unless there
	// is no time for one.
	ReceiptFailed ReceiptStatus = "delivery_failed"
	// ReceiptDeleted: the receiver has read the notification and deleted it.
	// Nothing comes after this.
	ReceiptDeleted ReceiptStatus = "deleted"
)

// Receipt is the delivery of a notification to one webhook. Times that have
// not come are zero.
type Receipt struct {
	Webhook string `json:"webhook"`
	// View names the rows that the webhook is told of: its own, or "" for all.
	View   string        `json:"-"`
	Status ReceiptStatus `json:"status"`
	Rows   int64         `json:"rows"`
	// Attempts counts deliveries since Since, the last one included.
	Attempts    int       `json:"attempts"`
	Since       time.Time `json:"since"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	// NextAttempt is zero where none is to come: it was delivered, or given
	// up.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Error says in words why the last attempt failed, "" if it did not.
	Error string `json:"error"`
}

// Delivery is a receipt whose time has come or will, of the set with the ID.
type Delivery struct {
	ID      uuid.UUID
	Updater string
	Receipt
}

// Subscription is a webhook that is to have receipts, and which rows it is
// told of.
type Subscription struct{ Webhook, View string }

// ChangeSet is what changed for manifests since some moment.
type ChangeSet struct {
	// Partial names the updaters whose operations do not go back so far. For
	// them it is what changed since the oldest there is.
	Partial []string
	// Impacts may be ranged over until Close.
	Impacts iter.Seq2[Impact, error]
	// Close lets go of the rows. The caller must call it.
	Close func()
}

// Since is a moment from which changes are asked for: a time, or an update
// operation, which speaks of its updater alone.
type Since struct {
	Time      time.Time
	Operation uuid.UUID
}

// ParseSince reads a moment: a time (RFC 3339), a length of time before now
// ("24h"), or the ref of an update operation. The error is an ErrInvalid.
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
	return Since{}, Invalid("since", "%.60q is neither a time such as %s, nor a duration such as 24h, nor an update operation",
		text, now.UTC().Format(time.RFC3339))
}
