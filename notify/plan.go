package notify

import (
	"cmp"
	"context"
	"hash/fnv"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/match"
)

// PlanStore provides the operations to plan, and stores notifications.
type PlanStore interface {
	// NextOperation returns the next operation to plan, if there is one.
	NextOperation(context.Context) (op clair.UpdateOperation, ok bool, err error)
	// SkipOperation marks an operation as planned without a notification.
	SkipOperation(context.Context, clair.UpdateOperation) error
	// OperationImpacts streams the changes of an operation for manifests.
	OperationImpacts(ctx context.Context, ref uuid.UUID,
		affects func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool) iter.Seq2[clair.Impact, error]
	// PutNotification stores the notification of an operation and marks the
	// operation as planned. The id is uuid.Nil if there was nothing to
	// announce.
	PutNotification(context.Context, clair.UpdateOperation, []clair.Subscription, iter.Seq2[clair.NotificationRow, error]) (uuid.UUID, error)
	CountManifests(context.Context) (int64, error)
}

// Exploited reports whether a vulnerability is known to be exploited.
type Exploited func(context.Context, *clair.Vulnerability) (bool, error)

// planner makes the rows of one notification.
type planner struct {
	store PlanStore
	op    clair.UpdateOperation
	// rules select the rows of the views.
	rules     []Webhook
	summary   bool
	exploited Exploited
	// together is how many manifests are summarized at once.
	together int64
}

// rulesOf returns the rules of an operation: one for everything, and those of
// webhooks that select rows of its updater.
func rulesOf(webhooks []Webhook, updater string) []Webhook {
	out := []Webhook{{}}
	for _, w := range webhooks {
		if w.filtered() && (len(w.Updaters) == 0 || matchesAny(w.Updaters, updater)) {
			out = append(out, w)
		}
	}
	return out
}

// matchesAny reports whether a text matches one of the patterns, which are
// valid.
func matchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, text)
		return ok && err == nil
	})
}

// takes reports whether the webhook selects the change, whatever the manifest.
// The higher of the old and the new severity counts, so that an all-clear is
// announced, too.
func (w Webhook) takes(ctx context.Context, n clair.Notification, exploited Exploited) (bool, error) {
	severity := n.Vulnerability.NormalizedSeverity
	if n.Previous != nil {
		severity = max(severity, n.Previous.NormalizedSeverity)
	}
	if severity < w.MinSeverity || w.OnlyFixed && n.Vulnerability.Fix() == "" {
		return false, nil
	}
	if w.OnlyKEV {
		return exploited(ctx, n.Vulnerability)
	}
	return true, nil
}

// told streams the changes, once for each view that selects them.
func (p *planner) told(ctx context.Context) iter.Seq2[told, error] {
	return func(yield func(told, error) bool) {
		for i, err := range p.store.OperationImpacts(ctx, p.op.Ref, match.NewJudge().Certain) {
			if err != nil {
				yield(told{}, err)
				return
			}
			n, ok := match.Notify(i)
			if !ok || n.Reason == clair.ReasonReader {
				continue
			}
			for _, w := range p.rules {
				ok, err := w.takes(ctx, n, p.exploited)
				if err != nil {
					yield(told{}, err)
					return
				}
				if ok && !yield(told{n, i.Manifests, w}, nil) {
					return
				}
			}
		}
	}
}

// told is a change that a rule selects for its manifests.
type told struct {
	clair.Notification
	all  []clair.Digest
	rule Webhook
}

// row returns the row for one manifest.
func (t told) row(m clair.Digest) clair.NotificationRow {
	row := clair.NotificationRow{
		View:          t.rule.view(),
		Manifest:      m,
		Reason:        t.Reason,
		Version:       t.Version,
		Vulnerability: t.Vulnerability.ID,
	}
	if t.Previous != nil {
		row.Previous = t.Previous.ID
	}
	return row
}

// manifests returns the manifests that the rule selects.
func (t told) manifests() iter.Seq[clair.Digest] {
	return func(yield func(clair.Digest) bool) {
		for _, m := range t.all {
			if (len(t.rule.Manifests) == 0 || matchesAny(t.rule.Manifests, string(m))) && !yield(m) {
				return
			}
		}
	}
}

// rows streams the rows of the notification.
func (p *planner) rows(ctx context.Context) iter.Seq2[clair.NotificationRow, error] {
	if p.summary {
		return p.summaries(ctx)
	}
	return func(yield func(clair.NotificationRow, error) bool) {
		for t, err := range p.told(ctx) {
			if err != nil {
				yield(clair.NotificationRow{}, err)
				return
			}
			for m := range t.manifests() {
				if !yield(t.row(m), nil) {
					return
				}
			}
		}
	}
}

// summaryManifests is how many manifests, times the number of views, a
// notifier summarizes at once, at about 200 bytes for each reason. If there
// are more, it reads the changes several times, each time for a part of the
// manifests.
const summaryManifests = 50_000

// summaries streams, for each view, reason and manifest, the row of the most
// severe vulnerability, the first one of equally severe ones.
func (p *planner) summaries(ctx context.Context) iter.Seq2[clair.NotificationRow, error] {
	return func(yield func(clair.NotificationRow, error) bool) {
		n, err := p.store.CountManifests(ctx)
		if err != nil {
			yield(clair.NotificationRow{}, err)
			return
		}
		parts := uint32(1 + n*int64(len(p.rules))/p.together)
		for part := range parts {
			best, err := p.summarise(ctx, func(m clair.Digest) bool { return parts == 1 || shard(m)%parts == part })
			if err != nil {
				yield(clair.NotificationRow{}, err)
				return
			}
			for _, s := range slices.SortedFunc(maps.Keys(best), section.compare) {
				for _, m := range slices.Sorted(maps.Keys(best[s])) {
					row := *best[s][m].row
					row.Manifest = m
					if !yield(row, nil) {
						return
					}
				}
			}
		}
	}
}

func shard(m clair.Digest) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m)) // never fails
	return h.Sum32()
}

// section is the part of a summary that has one row for each manifest.
type section struct {
	view   string
	reason clair.Reason
}

func (s section) compare(o section) int {
	return cmp.Or(strings.Compare(s.view, o.view), strings.Compare(string(s.reason), string(o.reason)))
}

// summarised is the most severe vulnerability so far: its severity, and its
// row for any manifest.
type summarised struct {
	severity clair.Severity
	row      *clair.NotificationRow
}

// summarise summarizes the selected manifests.
func (p *planner) summarise(ctx context.Context, wanted func(clair.Digest) bool) (map[section]map[clair.Digest]summarised, error) {
	all := map[section]map[clair.Digest]summarised{}
	for t, err := range p.told(ctx) {
		if err != nil {
			return nil, err
		}
		in := section{t.rule.view(), t.Reason}
		if all[in] == nil {
			all[in] = map[clair.Digest]summarised{}
		}
		row, best := t.row(""), all[in]
		for m := range t.manifests() {
			b, known := best[m]
			if wanted(m) && (!known || t.Vulnerability.NormalizedSeverity > b.severity) {
				best[m] = summarised{t.Vulnerability.NormalizedSeverity, &row}
			}
		}
	}
	return all, nil
}
