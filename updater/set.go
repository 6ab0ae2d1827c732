package updater

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// maxMembers limits the number of updaters of all sets together.
const maxMembers = 10_000

// runSet runs a set's members, within the time for one feed, and records the
// result.
func (m *Manager) runSet(ctx context.Context, s feed.Set) Result {
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(m.cfg.Timeout), errTimeout)
	defer cancel()
	r := &run{m: m, updater: s, name: s.Name(), start: time.Now(), kind: clair.KindVulnerability}
	out := r.runMembers(ctx, limited, s, m.admitTo(s.Name()))
	if ctx.Err() == nil || out.Err == nil {
		out.Err = errors.Join(out.Err, r.record(ctx, out.Err))
	}
	return out
}

// runMembers runs those of a set's members that are admitted, one after
// another, until limited ends.
func (r *run) runMembers(ctx, limited context.Context, s feed.Set, admit func(clair.Updater) error) Result {
	defer func() { r.m.progress(Progress{Updater: r.name, Stage: StageDone, Total: -1, Rows: r.rows}) }()
	r.m.progress(Progress{Updater: r.name, Stage: StageFetching, Total: -1})
	var all []Result
	err := r.safely(limited, func() error {
		members, err := r.members(limited, s)
		if err != nil {
			return err
		}
		var errs []error
		for u, err := range members {
			if errors.Is(err, clair.ErrUnchanged) {
				continue
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("update %s: %w", r.name, err))
				continue
			}
			one := Result{Updater: u.Name()}
			if err := admit(u); err != nil {
				one.Err = fmt.Errorf("update %s: %w", r.name, err)
			} else {
				one = r.m.runOne(ctx, limited, u)
			}
			all, errs = append(all, one), append(errs, one.Err)
			if one.Sample != "" && len(r.sample) < maxSample {
				r.sample = append(r.sample, feed.Truncate(u.Name()+": "+one.Sample, maxReason))
			}
		}
		if c, ok := s.(feed.Conditional); ok {
			r.fp = joinRevision(s, c.Fingerprint())
		}
		return errors.Join(errs...)
	})
	out := r.result(err)
	out.Members = all
	for _, one := range all {
		out.Operations, out.Skipped = append(out.Operations, one.Operations...), out.Skipped+one.Skipped
	}
	return out
}

// members returns a set's updaters, unless its feed is the same as at the last
// successful run.
func (r *run) members(ctx context.Context, s feed.Set) (iter.Seq2[clair.Updater, error], error) {
	c, ok := s.(feed.Conditional)
	if !ok {
		return s.Updaters(ctx), nil
	}
	known, err := r.m.store.UpdateStatuses(ctx)
	if err != nil {
		return nil, fmt.Errorf("update %s: %w", r.name, err)
	}
	return c.UpdatersSince(ctx, cutRevision(s, statusOf(known, r.name).Fingerprint)), nil
}

// admitTo admits the members of a configured set.
func (m *Manager) admitTo(set string) func(clair.Updater) error {
	return func(u clair.Updater) error { return m.admit(set, u.Name()) }
}

// admit registers a name for a set's member, unless it is taken.
func (m *Manager) admit(set, member string) error {
	if err := checkName(member); err != nil {
		return err
	}
	if m.entry(member) != nil {
		return fmt.Errorf("%w: %s is the name of a feed here", clair.ErrConflict, member)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	owner, known := m.members[member]
	switch {
	case known && owner != set:
		return fmt.Errorf("%w: %s is an updater of %s already", clair.ErrConflict, member, owner)
	case !known && len(m.members) >= maxMembers:
		return fmt.Errorf("%w: more than %d updaters", clair.ErrTooLarge, maxMembers)
	}
	m.members[member] = set
	return nil
}

// checkName refuses a name that is not valid for an updater.
func checkName(member string) error {
	if !feed.ValidName(member) {
		return fmt.Errorf("%w: the updater name %.80q is not valid here", clair.ErrInvalid, member)
	}
	return nil
}
