package patches

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"oriel/clair"
	"oriel/match"
)

// directory lists the platforms and the store's sections that make up their
// lists.
type directory struct {
	source Source

	// lock is a semaphore of size 1 that serializes counting and guards the
	// two fields below. It is a channel so that a canceled request stops
	// waiting.
	lock      chan struct{}
	countedAt time.Time
	rows      map[string]int // by the names that match.PlatformsOf returns

	// mu guards platforms: the platforms of each distribution and repository,
	// by their ids. There are at most a few thousand.
	mu        sync.Mutex
	platforms map[[2]int64][]string
}

// countAge is how long a count of rows by platform may be reused. A pass counts
// for itself.
const countAge = time.Second

// rowCounts returns the number of rows by platform. The caller must not modify
// the map.
func (d *directory) rowCounts(ctx context.Context) (map[string]int, error) {
	select {
	case d.lock <- struct{}{}:
		defer func() { <-d.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if d.rows != nil && time.Since(d.countedAt) < countAge {
		return d.rows, nil
	}
	snap, err := d.source.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("list platforms: %w", err)
	}
	defer snap.Close()
	sections, err := snap.Sections(ctx)
	if err != nil {
		return nil, fmt.Errorf("list platforms: %w", err)
	}
	rows := map[string]int{}
	for _, s := range sections {
		for _, name := range d.platformsOf(s) {
			rows[name] += s.Rows
		}
	}
	d.rows, d.countedAt = rows, time.Now()
	return rows, nil
}

// forget drops the cached count, so that the next lookup counts anew.
func (d *directory) forget() {
	d.lock <- struct{}{}
	defer func() { <-d.lock }()
	d.rows = nil
}

// platformsOf returns the platforms whose lists include a section.
func (d *directory) platformsOf(s clair.Section) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := [2]int64{s.ID.Dist, s.ID.Repo}
	names, known := d.platforms[key]
	if !known {
		names = match.PlatformsOf(s.Dist, s.Repo)
		d.platforms[key] = names
	}
	return names
}

// sections returns the sections that make up the list of a platform.
func (d *directory) sections(ctx context.Context, snap Snapshot, platform string) ([]clair.SectionID, error) {
	all, err := snap.Sections(ctx)
	if err != nil {
		return nil, err
	}
	var out []clair.SectionID
	for _, s := range all {
		if slices.ContainsFunc(d.platformsOf(s), func(of string) bool { return match.Belongs(of, platform) }) {
			out = append(out, s.ID)
		}
	}
	return out, nil
}

// find returns the platform that a text names. If there are no rows for it, the
// error is an *UnknownPlatformError.
func (d *directory) find(ctx context.Context, text string) (string, error) {
	rows, err := d.rowCounts(ctx)
	if err != nil {
		return "", err
	}
	if name, ok := match.PlatformNamed(text); ok && count(rows, name) > 0 {
		return name, nil
	}
	return "", &UnknownPlatformError{Name: text, Known: list(rows)}
}

// count estimates the number of rows in the list of a platform: a row that
// belongs to it for two reasons counts twice.
func count(rows map[string]int, platform string) (n int) {
	for of, k := range rows {
		if match.Belongs(of, platform) {
			n += k
		}
	}
	return n
}

// list returns the platforms that have rows, sorted by name.
func (d *directory) list(ctx context.Context) ([]Platform, error) {
	rows, err := d.rowCounts(ctx)
	if err != nil {
		return nil, err
	}
	return list(rows), nil
}

func list(rows map[string]int) []Platform {
	out := []Platform{}
	for name := range rows {
		if match.IsPlatform(name) {
			out = append(out, Platform{name, count(rows, name)})
		}
	}
	slices.SortFunc(out, func(a, b Platform) int { return strings.Compare(a.Name, b.Name) })
	return out
}
