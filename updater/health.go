package updater

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// HealthStore provides the data for the health of feeds.
type HealthStore interface {
	UpdateStatuses(context.Context) ([]clair.UpdateStatus, error)
	// GetLatestUpdateRefs returns the newest operation of each updater and
	// kind; the empty kind is any.
	GetLatestUpdateRefs(ctx context.Context, kind clair.Kind) (map[string][]clair.UpdateOperation, error)
}

// Health computes the state of feeds.
type Health struct {
	Store HealthStore
	// Formats are the formats of the feeds.
	Formats feed.Registry
	// Config is the updaters' configuration, and Configured are its feeds.
	Config     Config
	Configured []feed.Feed
	// Catalogue has the automatic feeds; nil if there are none.
	Catalogue *Catalogue
	// Manager runs the feeds; nil if another process does.
	Manager *Manager
}

// Feeds returns the state of all feeds: those of the configuration in its
// order, then the others that have an operation, by name, because reports use
// their data, too.
func (h Health) Feeds(ctx context.Context) (clair.Feeds, error) {
	// This comes before the statuses: a run that has ended by now has its
	// status below.
	var plan map[string]planned
	if h.Manager != nil {
		plan = h.Manager.plan()
	}
	known, err := h.Store.UpdateStatuses(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := h.Store.GetLatestUpdateRefs(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("tell the health of feeds: %w", err)
	}
	byName := make(map[string]clair.UpdateStatus, len(known))
	for _, s := range known {
		byName[s.Updater] = s
	}
	out := make(clair.Feeds, 0, len(h.Configured))
	configured := map[string]bool{}
	for _, f := range h.inUse(known) {
		configured[f.Name] = true
		out = append(out, h.configured(f, byName[f.Name]))
	}
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		if configured[name] {
			continue
		}
		s, ok := byName[name]
		if !ok { // it came in another way than by a run
			op := latest[name][0]
			s = clair.UpdateStatus{Updater: name, Kind: op.Kind, LastAttempt: op.Date, LastSuccess: op.Date}
		}
		out = append(out, clair.Feed{UpdateStatus: s, Format: s.Format, StaleAfter: time.Duration(h.Config.StaleAfter)})
	}
	for i := range out {
		for _, op := range latest[out[i].Updater] {
			if op.Kind == out[i].Kind {
				out[i].Operation = op.Ref
			}
		}
		if h.Manager != nil {
			out[i].Running, out[i].NextRun = plan[out[i].Updater].running, plan[out[i].Updater].next
		}
	}
	return out, nil
}

// inUse returns the feeds of the configuration. One for every release is
// replaced by those for the releases that something ever needed.
func (h Health) inUse(known []clair.UpdateStatus) []feed.Feed {
	var out []feed.Feed
	names := map[string]bool{}
	for _, f := range h.Configured {
		if !strings.Contains(f.Name, feed.ReleaseVariable) {
			out, names[f.Name] = append(out, f), true
		}
	}
	if h.Catalogue == nil {
		return out
	}
	for _, s := range known {
		if f, ok := h.Catalogue.Find(s.Updater); ok && !names[f.Name] {
			out, names[f.Name] = append(out, f), true
		}
	}
	return out
}

// configured returns the state of a feed of the configuration.
func (h Health) configured(f feed.Feed, status clair.UpdateStatus) clair.Feed {
	out := clair.Feed{
		UpdateStatus: status, Format: f.Format, URL: fetch.Mask(f.URL),
		Configured: true, Enabled: f.Enabled, Auto: f.Auto, StaleAfter: time.Duration(h.Config.StaleAfter),
	}
	out.Updater = f.Name
	if format, ok := h.Formats.Lookup(f.Format); ok {
		out.Kind = format.Kind
	}
	if own, ok := f.Duration(feed.StaleAfterOption); ok {
		out.StaleAfter = own
	}
	return out
}

// planned is the manager's own knowledge about an updater.
type planned struct {
	running bool
	next    time.Time
}

// plan returns the plan of each updater, including the members of sets that
// were read so far.
func (m *Manager) plan() map[string]planned {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]planned, len(m.entries)+len(m.members))
	for _, e := range m.entries {
		out[e.updater.Name()] = planned{e.running, m.next}
	}
	for name, set := range m.members {
		out[name] = out[set]
	}
	return out
}
