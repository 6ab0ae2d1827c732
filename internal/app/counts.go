package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/match"
	"oriel/server"
	"oriel/store"
)

// findings counts the findings of all manifests, by severity, in the background,
// so that no request waits for a count.
type findings struct {
	db     *store.DB
	needer server.Needer
	log    *slog.Logger

	// mu guards the fields below.
	mu     sync.Mutex
	last   *api.Findings
	places *match.PlaceCounter
}

const (
	// recountEvery is the time between two looks for changes.
	recountEvery = 10 * time.Second
	// recountShare is the pause after a count, in multiples of its duration,
	// so that counting takes a small share of a processor.
	recountShare = 20
	// recountAfter is the age from which a count is repeated in any case: a
	// manifest that is indexed again is not noticed.
	recountAfter = time.Hour
)

// counted identifies the data of a count.
type counted struct {
	operation uuid.UUID
	manifests int64
}

// Last returns the last count, nil if there is none yet.
func (f *findings) Last() *api.Findings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Places returns the places of the packages of all manifests, as of the last
// count; nil if there is none yet. They must not be modified.
func (f *findings) Places() *match.PlaceCounter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.places
}

// Run counts whenever something has changed, until the context ends. A failed
// count is logged and repeated.
func (f *findings) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var by counted
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		took, err := f.recount(ctx, &by)
		if err != nil && ctx.Err() == nil {
			f.log.ErrorContext(ctx, "findings count failed", "err", err)
		}
		timer.Reset(max(recountEvery, recountShare*took))
	}
}

// recount counts if something has changed since by was set, and returns the
// time that it took.
func (f *findings) recount(ctx context.Context, by *counted) (time.Duration, error) {
	start := time.Now()
	ref, err := f.db.GetLatestUpdateRef(ctx, clair.KindVulnerability)
	if err != nil {
		return 0, err
	}
	stats, err := f.db.Stats(ctx)
	if err != nil {
		return 0, err
	}
	now := counted{ref, stats.Manifests}
	if last := f.Last(); last != nil && now == *by && time.Since(last.CountedAt) < recountAfter {
		return 0, nil
	}
	places := &match.PlaceCounter{}
	counts, err := match.Count(ctx, f.db, places.Through(f.db.InstalledPackages(ctx)))
	took := time.Since(start)
	if err != nil {
		return took, err
	}
	*by = now
	// Stored manifests need their feeds although nobody may ask for reports:
	// notifications follow from updates.
	if _, err := f.needer.Need(ctx, places.Platforms()...); err != nil && ctx.Err() == nil {
		f.log.WarnContext(ctx, "needed feeds not fetched", "err", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = &api.Findings{
		CountedAt:  start.UTC(),
		Manifests:  stats.Manifests,
		BySeverity: bySeverity(counts),
		Took:       took,
	}
	f.places = places
	return took, nil
}

// bySeverity returns counts by the name of the severity.
func bySeverity(counts match.Counts) map[string]int64 {
	out := map[string]int64{}
	for severity, n := range counts {
		out[clair.Severity(severity).String()] = n
	}
	return out
}
