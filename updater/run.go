package updater

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// Stage is the current stage of a run.
type Stage string

// The stages of a run, in order. StageDone comes once, whatever the result.
const (
	StageFetching  Stage = "fetching"
	StageImporting Stage = "importing"
	StageDone      Stage = "done"
)

// Progress is the progress of a run.
type Progress struct {
	Updater string
	Stage   Stage
	// Done and Total are bytes of the feed; Total is -1 if it is unknown.
	Done, Total int64
	// Rows is the number of rows that have been read so far.
	Rows int64
}

var errTimeout = errors.New("the run took too long")

// run runs a claimed updater once and records the result.
func (m *Manager) run(ctx context.Context, u *entry) (res Result) {
	defer func() { m.release(u, &res) }()
	updater := u.updater
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return Result{Updater: updater.Name(), Err: fmt.Errorf("update %s: %w", updater.Name(), context.Cause(ctx))}
	}
	if s, ok := updater.(feed.Set); ok {
		return m.runSet(ctx, s)
	}
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(m.cfg.Timeout), errTimeout)
	defer cancel()
	return m.runOne(ctx, limited, updater)
}

// runOne runs one updater until limited ends, and records the result unless
// ctx has ended.
func (m *Manager) runOne(ctx, limited context.Context, updater clair.Updater) Result {
	r := &run{m: m, updater: updater, name: updater.Name(), start: time.Now()}
	defer func() { m.progress(Progress{Updater: r.name, Stage: StageDone, Total: -1, Rows: r.rows}) }()
	m.log.DebugContext(ctx, "update started", "updater", r.name)
	older, err := r.older(limited)
	if older {
		m.log.InfoContext(ctx, "older state left", "updater", r.name)
		out := r.result(nil)
		out.Older = true
		return out
	}
	if err == nil {
		err = r.halves(limited)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("update %s: %w: %w", r.name, clair.ErrUnavailable, errTimeout)
	}
	if ctx.Err() != nil && err != nil {
		// Oriel is being stopped, which is not a failure of the feed.
		return r.result(err)
	}
	return r.result(errors.Join(err, r.record(ctx, err)))
}

// run is one run of an updater. It stays in one goroutine.
type run struct {
	m       *Manager
	updater clair.Updater
	name    string
	start   time.Time

	operations []clair.UpdateResult
	kind       clair.Kind // of the status; the first half's that is there
	fp         clair.Fingerprint
	rows       int64
	skipped    int64
	sample     []string
	newest     time.Time // issue of the newest advisory read
	partial    bool      // what was read is not the whole feed
	limit      shrinkLimit
}

func (r *run) result(err error) Result {
	return Result{
		Updater: r.name, Operations: r.operations, Skipped: r.skipped, Sample: strings.Join(r.sample, "; "),
		Took: time.Since(r.start), Err: err,
	}
}

// halves runs the vulnerabilities of an updater and, if it has any, its
// enrichments. A failure of one does not affect the other.
func (r *run) halves(ctx context.Context) error {
	e, enriches := r.updater.(clair.EnrichmentUpdater)
	err := r.safely(ctx, func() error { return r.vulnerabilities(ctx, enriches) })
	if !enriches {
		return err
	}
	return errors.Join(err, r.safely(ctx, func() error { return r.enrichments(ctx, e) }))
}

// source is one half of an updater and the destination of its records.
type source[T any] struct {
	kind     clair.Kind
	fetch    func(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	parse    func(context.Context, io.ReadCloser) iter.Seq2[T, error]
	update   func(context.Context, string, clair.Fingerprint, iter.Seq2[T, error]) (clair.UpdateResult, error)
	name     func(T) string
	issued   func(T) time.Time // nil where records have no date
	optional bool              // it may be a NoopUpdater's
	partial  bool              // what it brings leaves the rest as it is
}

// half fetches, parses and stores one half of an updater, unless it still has
// the fingerprint.
func half[T any](ctx context.Context, r *run, s source[T], last clair.Fingerprint) error {
	body, fp, err := obtain(ctx, r, s, last)
	if body == nil {
		return err
	}
	return save(ctx, r, s, body, fp)
}

// obtain fetches a half. If it is unchanged, there is neither a body nor an
// error.
func obtain[T any](ctx context.Context, r *run, s source[T], last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	fetching := fetch.WithProgress(ctx, func(done, total int64) {
		r.m.progress(Progress{Updater: r.name, Stage: StageFetching, Done: done, Total: total})
	})
	body, fp, err := s.fetch(fetching, last)
	if errors.Is(err, clair.ErrUnchanged) {
		switch {
		case last != "":
			r.is(s.kind, joinRevision(r.updater, last))
			return nil, "", nil
		case s.optional:
			return nil, "", nil // there was nothing that could be unchanged: this half is not there
		}
		return nil, "", fmt.Errorf("update %s: unchanged, though there is nothing it could be unchanged from: %w", r.name, clair.ErrInvalid)
	}
	if err != nil {
		r.is(s.kind, "")
		return nil, "", fmt.Errorf("update %s: %w", r.name, err)
	}
	return body, fp, nil
}

// save parses and stores the fetched data, and closes them.
func save[T any](ctx context.Context, r *run, s source[T], body io.ReadCloser, fp clair.Fingerprint) error {
	fp = joinRevision(r.updater, fp)
	r.is(s.kind, fp)
	if s.issued != nil {
		r.newest, r.partial = time.Time{}, s.partial
	}
	limit, err := r.shrinkLimit(ctx, s.partial, s.optional)
	if err != nil {
		return errors.Join(err, body.Close())
	}
	r.limit = limit
	c := &counter[T]{run: r, source: s, body: body}
	res, err := s.update(ctx, r.name, fp, c.count(ctx, s.parse(ctx, body)))
	if cerr := body.Close(); cerr != nil {
		r.m.log.WarnContext(ctx, "feed close failed", "updater", r.name, "err", cerr)
	}
	if err != nil {
		return err // which names the updater
	}
	r.operations = append(r.operations, res)
	r.m.taken(r.name)
	r.m.log.InfoContext(ctx, "update operation finished", "updater", r.name, "operation", res.Ref, "added", res.Added,
		"removed", res.Removed, "unchanged", res.Unchanged, "skipped", r.skipped, "took", time.Since(r.start))
	return nil
}

// is records that the updater has a half of this kind.
func (r *run) is(kind clair.Kind, fp clair.Fingerprint) {
	if r.kind == "" {
		r.kind, r.fp = kind, fp
	}
}

// last returns the newest operation and its fingerprint, which is "" if there
// is no operation or the updater's revision has changed since. For a Knower it
// is any operation with the updater's state.
func (r *run) last(ctx context.Context, kind clair.Kind) (clair.UpdateOperation, clair.Fingerprint, error) {
	ops, err := r.m.store.GetUpdateOperations(ctx, kind, r.name)
	if err != nil {
		return clair.UpdateOperation{}, "", fmt.Errorf("update %s: %w", r.name, err)
	}
	all := ops[r.name]
	if k, ok := r.updater.(feed.StateChecker); ok {
		all = slices.DeleteFunc(all, func(o clair.UpdateOperation) bool { return !k.Known(cutRevision(r.updater, o.Fingerprint)) })
	}
	if len(all) == 0 {
		return clair.UpdateOperation{}, "", nil
	}
	return all[0], cutRevision(r.updater, all[0].Fingerprint), nil
}

// joinRevision and cutRevision add and remove an updater's revision before its
// own fingerprint.
func joinRevision(u clair.Updater, fp clair.Fingerprint) clair.Fingerprint {
	if v, ok := u.(feed.Versioned); ok {
		return fp.WithRevision(v.Revision())
	}
	return fp
}

func cutRevision(u clair.Updater, fp clair.Fingerprint) clair.Fingerprint {
	v, ok := u.(feed.Versioned)
	if !ok {
		return fp
	}
	if own, ok := strings.CutPrefix(string(fp), v.Revision()+" "); ok {
		return clair.Fingerprint(own)
	}
	return ""
}

// older reports whether the updater's state is older than the existing one. A
// state from elsewhere may arrive late, or somebody may want to bring it back.
func (r *run) older(ctx context.Context) (bool, error) {
	c, ok := r.updater.(feed.ImportedState)
	if !ok || c.State().Checked.IsZero() {
		return false, nil
	}
	known, err := r.m.store.UpdateStatuses(ctx)
	if err != nil {
		return false, fmt.Errorf("update %s: %w", r.name, err)
	}
	if !statusOf(known, r.name).LastSuccess.After(c.State().Checked) {
		return false, nil
	}
	last, _, err := r.last(ctx, c.State().Kind)
	return last.Ref != uuid.Nil && last.Fingerprint != c.State().Fingerprint, err
}

// format returns the format of the updater's feed, "" if it is not known.
func (r *run) format() string {
	if c, ok := r.updater.(feed.ImportedState); ok {
		return c.State().Format
	}
	return r.m.formatOf(r.name)
}

// succeeded returns when the feed was current, given when it was so before.
func (r *run) succeeded(before time.Time) time.Time {
	now := time.Now().UTC()
	c, ok := r.updater.(feed.ImportedState)
	switch {
	case !ok || c.State().Checked.IsZero() || c.State().Checked.After(now):
		return now
	case c.State().Checked.After(before):
		return c.State().Checked
	}
	return before
}

// record writes the status of the run.
func (r *run) record(ctx context.Context, err error) error {
	known, kerr := r.m.store.UpdateStatuses(ctx)
	if kerr != nil {
		return fmt.Errorf("update %s: %w", r.name, kerr)
	}
	s := statusOf(known, r.name)
	if s.Kind = cmp.Or(r.kind, s.Kind); s.Kind == "" {
		s.Kind = clair.KindVulnerability // it failed before it could tell
	}
	before := s.LastSuccess
	s.LastAttempt, s.LastSuccess, s.Took, s.Format = r.start.UTC(), time.Time{}, time.Since(r.start), r.format()
	if errors.Is(err, ErrHeldBack) {
		s.Held = r.limit.next(r.rows, r.start.UTC())
	}
	if err != nil {
		s.Error = feed.Truncate(err.Error(), maxError)
		r.m.log.ErrorContext(ctx, "update failed", "updater", r.name, "err", err, "took", s.Took)
	} else {
		s.Error, s.LastSuccess, s.Fingerprint, s.Held = "", r.succeeded(before), r.fp, clair.HeldState{}
	}
	if len(r.operations) > 0 || r.skipped > 0 {
		s.Skipped, s.SkippedSample = r.skipped, strings.Join(r.sample, "; ")
	}
	if len(r.operations) > 0 {
		s.Records, s.Added, s.Removed = 0, 0, 0
		for _, o := range r.operations {
			s.Records += o.Added + o.Unchanged
			s.Added += o.Added
			s.Removed += o.Removed
		}
		if !r.partial || r.newest.After(s.NewestAdvisory) {
			s.NewestAdvisory = r.newest
		}
	}
	if err == nil && len(r.operations) == 0 {
		r.m.log.DebugContext(ctx, "update unchanged", "updater", r.name, "took", s.Took)
	}
	return r.m.store.SetUpdateStatus(ctx, s)
}

const (
	maxError      = 2000
	maxSample     = 5   // reasons kept of skipped records
	maxReason     = 300 // bytes of each
	fewRecords    = 10  // below which only all failing is too many
	progressEvery = 512 // rows
)

// counter passes a stream on without errors about unusable records, which it
// counts.
type counter[T any] struct {
	run     *run
	source  source[T]
	body    io.ReadCloser
	good    int64 // records, as far as rows of one name follow each other
	current string
	bad     int64
}

// count returns the stream to store. It ends with an error if the parser
// panicked, or if hardly any record could be used.
func (c *counter[T]) count(ctx context.Context, in iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		consuming := false
		stopped := false
		err := c.guard(ctx, &consuming, func() error {
			for v, err := range in {
				switch {
				case err != nil && feed.IsSkip(err):
					c.skip(err)
					continue
				case err != nil:
					return fmt.Errorf("parse: %w", err)
				}
				c.take(v)
				consuming = true
				more := yield(v, nil)
				consuming = false
				if !more {
					stopped = true
					return nil
				}
			}
			return c.verdict()
		})
		if err != nil && !stopped {
			yield(zero, err)
		}
	}
}

// guard turns a panic of the parser into an error. It does not handle panics
// of the consumer.
func (c *counter[T]) guard(ctx context.Context, consuming *bool, f func() error) (err error) {
	defer func() {
		if *consuming {
			return // goes on panicking, since nothing has recovered it
		}
		if p := recover(); p != nil {
			err = c.run.panicked(ctx, p)
		}
	}()
	return f()
}

// safely turns a panic into an error.
func (r *run) safely(ctx context.Context, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("update %s: %w", r.name, r.panicked(ctx, p))
		}
	}()
	return f()
}

// panicked logs the stack and returns an error without it for the status.
func (r *run) panicked(ctx context.Context, p any) error {
	r.m.log.ErrorContext(ctx, "update panicked", "updater", r.name, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", p)
}

func (c *counter[T]) skip(err error) {
	c.bad++
	c.run.skipped++
	if len(c.run.sample) < maxSample {
		c.run.sample = append(c.run.sample, feed.Truncate(err.Error(), maxReason))
	}
}

func (c *counter[T]) take(v T) {
	c.run.rows++
	if name := c.source.name(v); c.good == 0 || name != c.current {
		c.good++
		c.current = name
	}
	if c.source.issued != nil {
		// A date in the future is a mistake of the feed, and would hide for a
		// long time that nothing new comes.
		if at := c.source.issued(v); at.After(c.run.newest) && at.Before(c.run.start.Add(24*time.Hour)) {
			c.run.newest = at.UTC()
		}
	}
	if c.run.rows%progressEvery == 1 {
		p := Progress{Updater: c.run.name, Stage: StageImporting, Total: -1, Rows: c.run.rows}
		if f, ok := c.body.(interface{ Progress() (done, total int64) }); ok {
			p.Done, p.Total = f.Progress()
		}
		c.run.m.progress(p)
	}
}

// verdict returns an error if hardly any record of a feed can be used: it is
// broken, or not the configured feed, and must not clear the existing data. A
// few changed records clear nothing, whatever is wrong with them.
func (c *counter[T]) verdict() error {
	all := c.good + c.bad
	if err := c.run.limit.check(c.run.name, c.run.rows, c.run.start); err != nil {
		return err
	}
	if c.bad == 0 || c.source.partial && all < fewRecords || c.good > 0 && (all < fewRecords || c.bad <= c.good) {
		return nil
	}
	return fmt.Errorf("%w: %d of %d records cannot be used: %s", clair.ErrInvalid, c.bad, all, strings.Join(c.run.sample, "; "))
}
