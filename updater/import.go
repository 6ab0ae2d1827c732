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

// ImportContents makes operations of contents that are new here, and says for
// each how that went. Each is made whole or not at all; one that fails does not
// keep the others from being made. A feed of the configuration whose format is
// another's is an ErrConflict. The error is all that went wrong; where there are
// no results nothing was begun. One import runs at a time, beside the feeds'
// runs: on a box without internet these may be waiting for it for long.
func (m *Manager) ImportContents(ctx context.Context, c mirror.Contents) ([]Result, error) {
	return m.importSet(ctx, mirror.NewContents("import", c))
}

// ImportLines is ImportContents for a file by clairctl export-updaters, plain or
// compressed.
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
		// It broke off after some.
		res.Members = append(res.Members, Result{Updater: s.Name(), Err: res.Err})
	}
	return res.Members, res.Err
}

// admitImport refuses what is no name, or that of another feed: the format
// tells whether two are the same.
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
