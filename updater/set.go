package updater

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// Conditional is a Set that recognises a feed that is unchanged. The
// fingerprint is kept with the set's own status, once all its members are in.
type Conditional interface {
	Set
	// UpdatersSince is Updaters, but where the feed still has the fingerprint
	// given it yields an ErrUnchanged and nothing else.
	UpdatersSince(context.Context, clair.Fingerprint) iter.Seq2[clair.Updater, error]
	// Fingerprint is that of the feed whose updaters were yielded last.
	Fingerprint() clair.Fingerprint
}

// Carried is an updater that brings a state of a feed from another database,
// where more is known of it than its rows: what format the feed is of, and when
// it was last known to have this state. That is when the feed counts as
// successful here, and no state replaces one that was found current later.
type Carried interface {
	clair.Updater
	State() clair.FeedState
}

// maxMembers bounds how many updaters all sets together may turn out to be.
const maxMembers = 10_000

// runSet runs a set's members, within the time for one feed, and records how
// that went.
func (m *Manager) runSet(ctx context.Context, s Set) Result {
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(m.cfg.Timeout), errTimeout)
	defer cancel()
	r := &run{m: m, updater: s, name: s.Name(), start: time.Now(), kind: clair.KindVulnerability}
	out := r.runMembers(ctx, limited, s, m.admitTo(s.Name()))
	if ctx.Err() == nil || out.Err == nil {
		out.Err = errors.Join(out.Err, r.record(ctx, out.Err))
	}
	return out
}

// runMembers runs a set's members one after another until limited ends, those
// that are admitted.
func (r *run) runMembers(ctx, limited context.Context, s Set, admit func(clair.Updater) error) Result {
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
				r.sample = append(r.sample, cutText(u.Name()+": "+one.Sample, maxReason))
			}
		}
		if c, ok := s.(Conditional); ok {
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

// members asks a set for its updaters, unless its feed is known to be what it
// was when the last run succeeded.
func (r *run) members(ctx context.Context, s Set) (iter.Seq2[clair.Updater, error], error) {
	c, ok := s.(Conditional)
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

// admit makes a name that of a set's member, unless it is taken.
func (m *Manager) admit(set, member string) error {
	if err := checkName(member); err != nil {
		return err
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

// checkName refuses what is no name for an updater.
func checkName(member string) error {
	if !validName(member) {
		return fmt.Errorf("%w: an updater is named %.80q there, which is no name here", clair.ErrInvalid, member)
	}
	return nil
}

// validName says whether an updater may be named so.
func validName(name string) bool {
	return name != "" && len(name) <= 200 && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == ',' })
}
