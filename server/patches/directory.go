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

// directory knows which platforms there are, and which rows are in their lists.
type directory struct {
	source Source

	// lock has room for the one who looks, and guards what follows.
	lock chan struct{}
	at   time.Time
	rows map[string]int // by the names of match.PlatformsOf

	// mu guards of: the platforms of each distribution and repository, by
	// their ids. There are a few thousand at the most.
	mu sync.Mutex
	of map[[2]int64][]string
}

// fresh is how long what was found out is good enough to say which platforms
// there are. A pass looks for itself.
const fresh = time.Second

// look gives the number of rows by platform. The map must not be changed.
func (d *directory) look(ctx context.Context) (map[string]int, error) {
	select {
	case d.lock <- struct{}{}:
		defer func() { <-d.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if d.rows != nil && time.Since(d.at) < fresh {
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
	d.rows, d.at = rows, time.Now()
	return rows, nil
}

func (d *directory) platformsOf(s clair.Section) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := [2]int64{s.ID.Dist, s.ID.Repo}
	names, known := d.of[key]
	if !known {
		names = match.PlatformsOf(s.Dist, s.Repo)
		d.of[key] = names
	}
	return names
}

// sections are those that the list of a platform consists of.
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

// find gives the platform that a text names, if there are rows for it.
func (d *directory) find(ctx context.Context, text string) (string, error) {
	rows, err := d.look(ctx)
	if err != nil {
		return "", err
	}
	if name, ok := match.PlatformNamed(text); ok && count(rows, name) > 0 {
		return name, nil
	}
	return "", &UnknownPlatformError{Name: text, Known: list(rows)}
}

// count is about how many rows the list of a platform has: a row that is in it
// for two reasons counts twice.
func count(rows map[string]int, platform string) (n int) {
	for of, k := range rows {
		if match.Belongs(of, platform) {
			n += k
		}
	}
	return n
}

func (d *directory) list(ctx context.Context) ([]Platform, error) {
	rows, err := d.look(ctx)
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
