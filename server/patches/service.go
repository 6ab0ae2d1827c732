package patches

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"oriel/clair"
	"oriel/window"
)

// Source takes snapshots of all vulnerabilities; the store does.
type Source interface {
	// Snapshot takes the current state, for the caller to close.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is the state of all vulnerabilities at one moment.
type Snapshot interface {
	// Sections lists all the rows there are, in parts.
	Sections(ctx context.Context) ([]clair.Section, error)
	// Page reads the rows of some parts that come after a mark: at most limit
	// of them, and no more than about size bytes.
	Page(ctx context.Context, sections []clair.SectionID, from clair.RowMark, limit int, size int64) (clair.SectionPage, error)
	// Renew keeps the snapshot for another hour. It fails when it has been
	// let go of already.
	Renew() error
	Close()
}

// Service lets scanners read lists. Its methods may be called from many
// goroutines; sessions get something to read while Run runs.
type Service struct {
	cfg       window.Config
	source    Source
	log       *slog.Logger
	machine   *window.Machine
	directory directory
	coders    coders
	rowsRead  atomic.Int64
	// stopped closes at the end of Run, which alone closes it.
	stopped chan struct{}
	// passes are those that are being read. Only Run's goroutine uses them.
	passes map[int]*pass
}

// New makes a service that reads nothing yet.
func New(cfg window.Config, source Source, log *slog.Logger) *Service {
	return &Service{
		cfg: cfg, source: source, log: log, machine: window.New(cfg, newID), stopped: make(chan struct{}),
		directory: directory{source: source, lock: make(chan struct{}, 1), of: map[[2]int64][]string{}},
		passes:    map[int]*pass{},
	}
}

// newID gives 128 random bits.
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

// Platforms lists the platforms whose lists can be read, by name.
func (s *Service) Platforms(ctx context.Context) ([]Platform, error) { return s.directory.list(ctx) }

// Open opens a session for a client, known by its address. A platform without
// vulnerabilities is an *UnknownPlatformError; the other errors are those of
// window.Machine.Open.
func (s *Service) Open(ctx context.Context, platform, client string) (window.Session, error) {
	name, err := s.directory.find(ctx, platform)
	if err != nil {
		return window.Session{}, err
	}
	return s.machine.Open(time.Now(), name, client)
}

// Session says how a session is; see window.Machine.Session.
func (s *Service) Session(id window.SessionID) (window.Session, error) {
	return s.machine.Session(time.Now(), id)
}

// Leave ends a session; see window.Machine.Leave.
func (s *Service) Leave(id window.SessionID) error { return s.machine.Leave(time.Now(), id) }

// Take gives a session its next page, for the original protocol; see
// window.Machine.Take. The caller closes the reading.
func (s *Service) Take(id window.SessionID) (*window.Reading, error) {
	return s.machine.Take(time.Now(), id)
}

// Read gives what follows a cursor; see window.Machine.Read. Where there is
// nothing yet, it waits for so long at the most, and no longer than the
// configuration allows or Run runs. The caller closes the reading.
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

// Status is how things stand.
type Status struct {
	window.Status
	// RowsRead counts the rows that have been read from the store.
	RowsRead int64
}

// Status says how things stand.
func (s *Service) Status() Status { return Status{s.machine.Status(), s.rowsRead.Load()} }

const (
	// minTick and maxTick bound how often sessions are looked at whose time
	// may be up.
	minTick, maxTick = 20 * time.Millisecond, time.Second
	// renewal is how often the snapshots of long passes are renewed.
	renewal = 5 * time.Minute
)

// Run reads what sessions wait for, until the context ends. It may be called
// once.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.stopped)
	defer s.closeAll()
	tick := time.NewTicker(min(max(time.Duration(min(s.cfg.SessionTimeout, s.cfg.PaneTimeout, s.cfg.PassTimeout))/20, minTick), maxTick))
	defer tick.Stop()
	renew := time.NewTicker(renewal)
	defer renew.Stop()
	for {
		// Time goes on while there is work.
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.machine.Tick(time.Now())
		case <-renew.C:
			s.renewAll()
		default:
		}
		if task, ok := s.machine.Task(); ok {
			s.do(ctx, task)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.machine.Work():
		case <-tick.C:
			s.machine.Tick(time.Now())
		case <-renew.C:
			s.renewAll()
		}
	}
}

func (s *Service) closeAll() {
	for _, p := range s.passes {
		p.snapshot.Close()
	}
}

func (s *Service) renewAll() {
	for _, p := range s.passes {
		if err := p.snapshot.Renew(); err != nil {
			p.lost = err // the next read says so
		}
	}
}

// UnknownPlatformError says that a platform is not known, or that there are no
// vulnerabilities for it.
type UnknownPlatformError struct {
	Name  string
	Known []Platform
}

// Error names some of the platforms that are known.
func (e *UnknownPlatformError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("platform: there are no vulnerabilities for %.60q, nor for any other platform yet", e.Name)
	}
	const shown = 100
	text := fmt.Sprintf("platform: there are no vulnerabilities for %.60q; the platforms are", e.Name)
	for i, p := range e.Known {
		if i == shown {
			return text + fmt.Sprintf(" and %d more", len(e.Known)-shown)
		}
		text += " " + p.Name
	}
	return text
}

// Unwrap makes it an ErrNotFound.
func (e *UnknownPlatformError) Unwrap() error { return clair.ErrNotFound }
