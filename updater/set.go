package updater

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"oriel/clair"
)

// Set is a feed that turns out to be several updaters when it is asked, such
// as another server. A feed that is one embeds a clair.NoopUpdater, and whoever
// runs updaters asks each of them whether it is a Set.
//
// The members' operations and statuses are kept under the members' own names.
// None may have the name of a configured feed or of another set's member: such
// a member fails, and the others go on.
type Set interface {
	clair.Updater
	// Updaters asks the feed for its updaters. Each is run before the next is
	// asked for, and is of no use afterwards. An error stands in place of
	// what could not be had.
	Updaters(context.Context) iter.Seq2[clair.Updater, error]
}

// Knower is an updater that brings one state and no later one, such as a file
// of operations. Known says whether an operation with this fingerprint has
// that state; any operation of the updater may, not only the newest.
type Knower interface {
	Known(clair.Fingerprint) bool
}

// maxMembers bounds how many updaters all sets together may turn out to be.
const maxMembers = 10_000

// runSet runs a set's members one after another, within the time for one feed.
func (m *Manager) runSet(ctx context.Context, s Set) Result {
	r := &run{m: m, updater: s, name: s.Name(), start: time.Now(), kind: clair.KindVulnerability}
	defer func() { m.progress(Progress{Updater: r.name, Stage: StageDone, Total: -1, Rows: r.rows}) }()
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(m.cfg.Timeout), errTimeout)
	defer cancel()
	m.progress(Progress{Updater: r.name, Stage: StageFetching, Total: -1})
	var made []clair.UpdateResult
	var skipped int64
	err := r.safely(limited, func() error {
		var errs []error
		for u, err := range s.Updaters(limited) {
			if err == nil {
				err = m.admit(r.name, u.Name())
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("update %s: %w", r.name, err))
				continue
			}
			one := m.runOne(ctx, limited, u)
			made, skipped = append(made, one.Operations...), skipped+one.Skipped
			if one.Sample != "" && len(r.sample) < maxSample {
				r.sample = append(r.sample, cutText(u.Name()+": "+one.Sample, maxReason))
			}
			errs = append(errs, one.Err)
		}
		return errors.Join(errs...)
	})
	out := r.result(err)
	out.Operations, out.Skipped = made, skipped
	if ctx.Err() == nil || err == nil {
		out.Err = errors.Join(err, r.record(ctx, err))
	}
	return out
}

// admit makes a name that of a set's member, unless it is taken.
func (m *Manager) admit(set, member string) error {
	if !validName(member) {
		return fmt.Errorf("%w: an updater is named %.80q there, which is no name here", clair.ErrInvalid, member)
	}
	for _, u := range m.updaters {
		if u.Name() == member {
			return fmt.Errorf("%w: %s is the name of a feed here", clair.ErrConflict, member)
		}
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

// memberStatuses gives the statuses of the members that were met since the
// start, by name. The caller holds mu.
func (m *Manager) memberStatuses(known []clair.UpdateStatus) []Status {
	var out []Status
	for _, name := range slices.Sorted(maps.Keys(m.members)) {
		i := slices.IndexFunc(m.updaters, func(u clair.Updater) bool { return u.Name() == m.members[name] })
		out = append(out, m.status(known, name, i))
	}
	return out
}

// validName says whether an updater may be named so.
func validName(name string) bool {
	return name != "" && len(name) <= 200 && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == ',' })
}
