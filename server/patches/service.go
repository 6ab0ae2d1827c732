package patches

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"oriel/clair"
	"oriel/match"
	"oriel/window"
)

// Source takes snapshots of all vulnerabilities. The store implements it.
type Source interface {
	// Snapshot returns the current state. The caller closes it.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is the state of all vulnerabilities at one moment.
type Snapshot interface {
	// Sections returns the sections that all rows are divided into.
	Sections(ctx context.Context) ([]clair.Section, error)
	// Page reads rows of the given sections that follow a cursor: at most
	// limit rows and about size bytes.
	Page(ctx context.Context, sections []clair.SectionID, from clair.Cursor, limit int, size int64) (clair.SectionPage, error)
	// Renew keeps the snapshot for another hour. It fails if the snapshot has
	// already expired.
	Renew() error
	Close()
}

// Fetcher fetches feeds when they are needed.
type Fetcher interface {
	// Fetch starts fetching the feeds that have advisories for a platform and
	// were never fetched, as far as the configuration permits, and returns
	// without waiting. pending reports whether a feed is still to be fetched; the
	// error is why a feed could not be fetched.
	Fetch(ctx context.Context, platform string) (pending bool, err error)
}

// Service lets scanners read lists. Its methods are safe for concurrent use.
// Panes are prepared only while Run runs.
type Service struct {
	cfg       window.Config
	source    Source
	fetcher   Fetcher // may be nil
	log       *slog.Logger
	machine   *window.Machine
	directory directory
	pages     compressor
	rowsRead  atomic.Int64
	// stopped is closed by Run when it returns.
	stopped chan struct{}
	// passes are the passes with an open snapshot, by id. Only Run's goroutine
	// uses them.
	passes map[int]*pass
}

// New returns a service; Run starts its work. If the fetcher is nil, sessions
// are opened only for platforms that have vulnerabilities.
func New(cfg window.Config, source Source, fetcher Fetcher, log *slog.Logger) *Service {
	return &Service{
		cfg:       cfg,
		source:    source,
		fetcher:   fetcher,
		log:       log,
		machine:   window.New(cfg, newID),
		directory: directory{source: source, lock: make(chan struct{}, 1), platforms: map[[2]int64][]string{}},
		stopped:   make(chan struct{}),
		passes:    map[int]*pass{},
	}
}

// newID returns 128 random bits in hexadecimal.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Platform is a platform that has vulnerabilities.
type Platform struct {
	Name string
	Rows int
}

// Platforms returns the platforms whose lists can be read, sorted by name.
func (s *Service) Platforms(ctx context.Context) ([]Platform, error) { return s.directory.list(ctx) }

// Open opens a session for a client, which is identified by its address. If
// there are no vulnerabilities for the platform, the error is an
// *UnknownPlatformError; the other errors are those of window.Machine.Open.
//
// If feeds for the platform are being fetched, the session is queued until they
// are.
func (s *Service) Open(ctx context.Context, platform, client string) (window.Session, error) {
	var failure error
	if name, ok := match.PlatformNamed(platform); ok && s.fetcher != nil {
		var pending bool
		if pending, failure = s.fetcher.Fetch(ctx, name); pending {
			return s.machine.OpenHeld(time.Now(), name, client)
		}
	}
	name, err := s.directory.find(ctx, platform)
	if errors.Is(err, clair.ErrNotFound) && s.fetcher != nil {
		s.directory.forget() // a feed may have been fetched since
		name, err = s.directory.find(ctx, platform)
	}
	if unknown, ok := errors.AsType[*UnknownPlatformError](err); ok {
		unknown.Reason = failure
	}
	if err != nil {
		return window.Session{}, err
	}
	return s.machine.Open(time.Now(), name, client)
}

// decideHeld releases the platforms whose feeds have been fetched, and refuses
// those for which there is still nothing.
func (s *Service) decideHeld(ctx context.Context) {
	for _, name := range s.machine.Held() {
		pending, failure := s.fetcher.Fetch(ctx, name)
		if pending {
			continue
		}
		s.directory.forget()
		_, err := s.directory.find(ctx, name)
		unknown, isUnknown := errors.AsType[*UnknownPlatformError](err)
		switch {
		case err == nil:
			s.machine.Release(time.Now(), name)
		case isUnknown:
			unknown.Reason = failure
			s.machine.Refuse(time.Now(), name, strings.TrimPrefix(unknown.Error(), "platform: "))
		default:
			s.log.ErrorContext(ctx, "platform not looked up", "platform", name, "err", err) // the next tick repeats it
		}
	}
}

// Session returns the state of a session; see window.Machine.Session.
func (s *Service) Session(id window.SessionID) (window.Session, error) {
	return s.machine.Session(time.Now(), id)
}

// Leave ends a session; see window.Machine.Leave.
func (s *Service) Leave(id window.SessionID) error { return s.machine.Leave(time.Now(), id) }

// Take returns the next page of a session of the original protocol; see
// window.Machine.Take. The caller closes the reading.
func (s *Service) Take(id window.SessionID) (*window.Reading, error) {
	return s.machine.Take(time.Now(), id)
}

// Read returns the rows after a cursor; see window.Machine.Read. If there are
// none yet, it waits for at most the given time, bounded by max_wait, and no
// longer than Run runs. The caller closes the reading.
func (s *Service) Read(ctx context.Context, id window.SessionID, after string, limit int, wait time.Duration) (*window.Reading, error) {
	r, err := s.machine.Read(time.Now(), id, after, limit)
	if err != nil || r.Wake == nil || wait <= 0 {
		return r, err
	}
	timer := time.NewTimer(min(wait, time.Duration(s.cfg.MaxWait)))
	defer timer.Stop()
	for r.Wake != nil {
		select {
		case <-r.Wake:
		case <-timer.C:
			return r, nil
		case <-s.stopped:
			return r, nil
		case <-ctx.Done():
			r.Close(time.Now())
			return nil, ctx.Err()
		}
		r.Close(time.Now())
		if r, err = s.machine.Read(time.Now(), id, after, limit); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Status is the state of all sessions and windows.
type Status struct {
	window.Status
	// RowsRead is the number of rows read from the store so far.
	RowsRead int64 `json:"rows_read"`
}

// Status returns the state of all sessions and windows.
func (s *Service) Status() Status { return Status{s.machine.Status(), s.rowsRead.Load()} }

const (
	// minTick and maxTick bound the interval between checks for overdue
	// sessions, which is a twentieth of the shortest timeout.
	minTick, maxTick = 20 * time.Millisecond, time.Second
	// renewal is how often the snapshots of long passes are renewed.
	renewal = 5 * time.Minute
)

// Run prepares panes and ends overdue sessions until the context ends. It may
// be called once.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.stopped)
	defer s.closeAll()
	tick := time.NewTicker(min(max(time.Duration(min(s.cfg.SessionTimeout, s.cfg.PaneTimeout, s.cfg.PassTimeout))/20, minTick), maxTick))
	defer tick.Stop()
	renew := time.NewTicker(renewal)
	defer renew.Stop()
	for {
		// Overdue sessions are ended even if tasks follow one another.
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.tick(ctx)
		case <-renew.C:
			s.renewAll()
		default:
		}
		if task, ok := s.machine.Task(); ok {
			s.perform(ctx, task)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.machine.Work():
		case <-tick.C:
			s.tick(ctx)
		case <-renew.C:
			s.renewAll()
		}
	}
}

// tick ends overdue sessions, and decides about platforms whose feeds are being
// fetched.
func (s *Service) tick(ctx context.Context) {
	s.machine.Tick(time.Now())
	s.decideHeld(ctx)
}

func (s *Service) closeAll() {
	for _, p := range s.passes {
		p.snapshot.Close()
	}
}

func (s *Service) renewAll() {
	for _, p := range s.passes {
		if err := p.snapshot.Renew(); err != nil {
			p.lost = err // the next read returns it
		}
	}
}

// UnknownPlatformError is returned if a platform is not known or there are no
// vulnerabilities for it.
type UnknownPlatformError struct {
	Name  string
	Known []Platform
	// Reason is why feeds for the platform could not be fetched, nil if that was
	// not tried.
	Reason error
}

// Error returns the reason, or else names some of the known platforms.
func (e *UnknownPlatformError) Error() string {
	if e.Reason != nil {
		return fmt.Sprintf("platform: no vulnerabilities for %.60q: %.300v", e.Name, e.Reason)
	}
	if len(e.Known) == 0 {
		return fmt.Sprintf("platform: no vulnerabilities for %.60q, nor for any other platform yet", e.Name)
	}
	const shown = 100
	text := fmt.Sprintf("platform: no vulnerabilities for %.60q; the known platforms are", e.Name)
	for i, p := range e.Known {
		if i == shown {
			return text + fmt.Sprintf(" and %d more", len(e.Known)-shown)
		}
		text += " " + p.Name
	}
	return text
}

// Unwrap returns clair.ErrNotFound.
func (e *UnknownPlatformError) Unwrap() error { return clair.ErrNotFound }
