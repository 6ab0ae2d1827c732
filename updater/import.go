package updater

import (
	"context"
	"fmt"
	"io"
	"oriel/clair"
	"oriel/internal/feed"
	"oriel/updater/mirror"
	"slices"
	"time"
)

// ImportContents makes operations of contents that are new here, and returns a
// result for each. Each is imported completely or not at all; a failing one
// does not affect the others. If the configuration has a feed of that name
// with another format, the error is an ErrConflict. The returned error joins
// all failures; if there are no results, nothing was begun. One import runs at
// a time, concurrently with the runs of feeds, which may wait for a long time
// on a machine without internet access.
func (m *Manager) ImportContents(ctx context.Context, c mirror.Contents) ([]Result, error) {
	return m.importSet(ctx, mirror.NewContents("import", c))
}

// ImportLines does the same as ImportContents for a file of clairctl
// export-updaters, plain or compressed.
func (m *Manager) ImportLines(ctx context.Context, r io.Reader) ([]Result, error) {
	return m.importSet(ctx, mirror.NewLines("import", r))
}

func (m *Manager) importSet(ctx context.Context, s feed.Set) ([]Result, error) {
	select {
	case m.bringing <- struct{}{}:
		defer func() { <-m.bringing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("import: %w", context.Cause(ctx))
	}
	r := &run{m: m, updater: s, name: s.Name(), start: time.Now()}
	res := r.runMembers(ctx, ctx, s, m.admitImport)
	m.collect(ctx)
	if n := len(res.Members); n > 0 && res.Err != nil && !slices.ContainsFunc(res.Members, func(r Result) bool { return r.Err != nil }) {
		// It stopped after some of them.
		res.Members = append(res.Members, Result{Updater: s.Name(), Err: res.Err})
	}
	return res.Members, res.Err
}

// admitImport refuses an import whose name is not valid or belongs to another
// feed, which is one of another format.
func (m *Manager) admitImport(u clair.Updater) error {
	if err := checkName(u.Name()); err != nil {
		return err
	}
	e := m.entry(u.Name())
	if e == nil {
		return nil
	}
	here, there := m.formatOf(u.Name()), ""
	if c, ok := u.(feed.ImportedState); ok {
		there = c.State().Format
	}
	if _, set := e.updater.(feed.Set); set || here != "" && there != "" && here != there {
		return fmt.Errorf("%w: %s is a feed of format %q here, and one of format %q there", clair.ErrConflict, u.Name(), here, there)
	}
	return nil
}
