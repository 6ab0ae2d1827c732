package scanner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/client"
	"oriel/match"
)

// Server is the server whose lists are read; *client.Client is one.
type Server interface {
	Platforms(ctx context.Context) ([]api.Platform, error)
	OpenSession(ctx context.Context, platform string) (api.Session, error)
	CloseSession(ctx context.Context, id string) error
	Page(ctx context.Context, id, after string) (*client.Page, error)
}

// Options configure a Scanner.
type Options struct {
	Server Server
	// GiveUp is how long requests may fail, or be refused as temporarily
	// impossible, before the scan fails. Default 5 minutes.
	GiveUp time.Duration
	// Progress, if not nil, is called from several goroutines as lists are
	// read.
	Progress func(Progress)
}

// Progress is the progress of reading a list.
type Progress struct {
	Platform string
	// Rows of about Total have been read; Total is 0 if it is not known.
	Rows, Total int
	// Position is the position in the server's queue; 0 if not queued.
	Position int
	Done     bool
}

// Scanner matches hosts against a server's lists. Its methods are safe for
// concurrent use.
type Scanner struct {
	Options
}

// New returns a Scanner.
func New(o Options) *Scanner {
	if o.GiveUp <= 0 {
		o.GiveUp = 5 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return &Scanner{o}
}

// Result is the result of a scan.
type Result struct {
	*match.Result
	// Platforms are those whose lists were read.
	Platforms []string
	// Unknown are the platforms for which the server has no vulnerabilities,
	// sorted.
	Unknown []Unknown
	// Rows is the number of vulnerabilities read.
	Rows int
}

// Unknown is a platform for which the server has no vulnerabilities. Reason and
// Hint are the server's; "" from a server that does not explain it.
type Unknown struct {
	Platform string
	Reason   clair.NotCovered
	Hint     string
}

// concurrency is the number of lists read at a time.
const concurrency = 8

// Scan returns the vulnerabilities that affect the packages of an index report.
// It fails if a list cannot be read to its end, since partial findings would
// look complete.
func (s *Scanner) Scan(ctx context.Context, index *clair.IndexReport) (*Result, error) {
	platforms := match.PlatformsFor(index)
	totals, err := s.totals(ctx)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	lists := make([]*list, len(platforms))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i, p := range platforms {
		lists[i] = &list{
			s:        s,
			platform: p,
			total:    totals[p],
			found:    match.NewCollector(index),
		}
		g.Go(func() error {
			if err := lists[i].read(ctx); err != nil {
				return fmt.Errorf("scan: read the list of %s: %w", p, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := &Result{}
	var found []*match.Collector
	for _, l := range lists {
		found = append(found, l.found)
		out.Rows += l.rows
		if l.unknown != nil {
			out.Unknown = append(out.Unknown, Unknown{l.platform, l.unknown.Reason, l.unknown.Hint})
		} else {
			out.Platforms = append(out.Platforms, l.platform)
		}
	}
	out.Result = match.Collected(index, found...)
	return out, nil
}

// list is the reading of one platform's list.
type list struct {
	s        *Scanner
	platform string
	total    int
	found    *match.Collector
	rows     int
	unknown  *client.Error // nil if the platform is known
}

// maxRestarts is the maximum number of attempts to read a list.
const maxRestarts = 20

// read reads the list to its end. If the session ends early, it starts again
// from the beginning of the list.
func (l *list) read(ctx context.Context) error {
	pause := newPause(l.s.GiveUp)
	for range maxRestarts {
		err := l.pass(ctx, pause)
		refused, ok := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			l.report(0, true)
			return nil
		case ok && refused.Code == api.UnknownPlatform:
			l.unknown, l.rows = refused, 0
			l.found.Reset()
			l.report(0, true)
			return nil
		case !ok || !restarts(refused):
			return err
		}
		l.found.Reset()
		l.rows = 0
		if err := pause.wait(ctx, 0, err); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the session was ended %d times before the end of the list", clair.ErrUnavailable, maxRestarts)
}

// report passes the progress of the list to the caller of Scan.
func (l *list) report(position int, done bool) {
	l.s.Progress(Progress{
		Platform: l.platform,
		Rows:     l.rows,
		Total:    l.total,
		Position: position,
		Done:     done,
	})
}

// pass opens a session and reads the list from its beginning. It returns a
// *client.Error if the session ends early.
func (l *list) pass(ctx context.Context, pause *pause) (err error) {
	var session api.Session
	err = pause.until(ctx, func() (err error) {
		session, err = l.s.Server.OpenSession(ctx, l.platform)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			l.s.leave(ctx, session.ID) // so that no other session waits for it
		}
	}()
	l.report(session.Position, false)
	for after := ""; ; {
		var got *client.Page
		err := pause.until(ctx, func() (err error) {
			got, err = l.s.Server.Page(ctx, session.ID, after)
			return err
		})
		switch {
		case err != nil:
			return err
		case got.State == api.SessionDone:
			return nil
		case got.Rows == nil:
			l.report(got.Session.Position, false)
			if err := pause.wait(ctx, time.Duration(got.Session.PollAfterMS)*time.Millisecond, nil); err != nil {
				return err
			}
			continue
		}
		for _, v := range got.Rows {
			l.found.Add(v)
		}
		l.rows += len(got.Rows)
		after = got.Next
		l.report(0, false)
	}
}

// restarts reports whether the session is over, so that a new one may succeed.
func restarts(e *client.Error) bool {
	return e.Status == http.StatusGone || e.Code == api.UnknownSession || e.Code == api.BadCursor
}

// totals returns the number of rows in the list of each platform.
func (s *Scanner) totals(ctx context.Context) (map[string]int, error) {
	var known []api.Platform
	err := newPause(s.GiveUp).until(ctx, func() (err error) {
		known, err = s.Server.Platforms(ctx)
		return err
	})
	out := map[string]int{}
	for _, p := range known {
		out[p.Name] = p.Vulnerabilities
	}
	return out, err
}

// leaveTime bounds the time that ends a session whose scan has ended.
const leaveTime = 2 * time.Second

// leave ends a session although the context has ended. If that fails, the
// session times out.
func (s *Scanner) leave(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	_ = s.Server.CloseSession(ctx, id)
}
