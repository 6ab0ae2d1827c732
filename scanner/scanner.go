package scanner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
	"oriel/match"
)

// Options configure a Scanner.
type Options struct {
	// Server is the address of the server, such as "http://127.0.0.1:6060".
	Server string
	// Token is sent as a bearer token unless it is "".
	Token string
	// Client sends the requests. Default http.DefaultClient.
	Client *http.Client
	// UserAgent identifies the scanner to the server.
	UserAgent string
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
	base string
}

// New returns a Scanner. If the address is not an HTTP URL, the error wraps
// clair.ErrInvalid.
func New(o Options) (*Scanner, error) {
	u, err := url.Parse(o.Server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, clair.Invalid("server", "%.200q is not an address such as \"http://127.0.0.1:6060\"", o.Server)
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.GiveUp <= 0 {
		o.GiveUp = 5 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return &Scanner{o, strings.TrimSuffix(o.Server, "/") + "/patches/v1"}, nil
}

// Result is the result of a scan.
type Result struct {
	*match.Result
	// Platforms are those whose lists were read, and Unknown those for which
	// the server has no vulnerabilities.
	Platforms, Unknown []string
	// Rows is the number of vulnerabilities read.
	Rows int
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
		lists[i] = &list{s: s, platform: p, total: totals[p], found: match.NewCollector(index)}
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
		if l.unknown {
			out.Unknown = append(out.Unknown, l.platform)
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
	unknown  bool
}

// maxRestarts is the maximum number of attempts to read a list.
const maxRestarts = 20

// read reads the list to its end. If the session ends early, it starts again
// from the beginning of the list.
func (l *list) read(ctx context.Context) error {
	pause := newPause(l.s.GiveUp)
	for range maxRestarts {
		err := l.pass(ctx, pause)
		refused, ok := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			l.report(0, true)
			return nil
		case ok && refused.code == "unknown-platform":
			l.unknown = true
			l.report(0, true)
			return nil
		case !ok || !refused.restarts():
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
	l.s.Progress(Progress{Platform: l.platform, Rows: l.rows, Total: l.total, Position: position, Done: done})
}

// pass opens a session and reads the list from its beginning. It returns a
// *refusal if the session ends early.
func (l *list) pass(ctx context.Context, pause *pause) (err error) {
	var session session
	err = pause.until(ctx, func() (err error) {
		session, err = l.s.open(ctx, l.platform)
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
		var got *page
		err := pause.until(ctx, func() (err error) {
			got, err = l.s.page(ctx, session.ID, after)
			return err
		})
		switch {
		case err != nil:
			return err
		case got.state == "done":
			return nil
		case got.rows == nil:
			l.report(got.session.Position, false)
			if err := pause.wait(ctx, time.Duration(got.session.PollAfterMS)*time.Millisecond, nil); err != nil {
				return err
			}
			continue
		}
		for _, v := range got.rows {
			l.found.Add(v)
		}
		l.rows += len(got.rows)
		after = got.next
		l.report(0, false)
	}
}

// pause waits between requests: for the time that the server names, otherwise
// with exponential backoff, and with jitter in both cases.
type pause struct {
	backoff *backoff.ExponentialBackOff
	giveUp  time.Duration
	// failing is the time of the first failure since the last success; zero if
	// the last request succeeded.
	failing time.Time
}

const (
	minPause = 100 * time.Millisecond
	maxPause = 15 * time.Second
)

func newPause(giveUp time.Duration) *pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = minPause, maxPause
	b.Reset()
	return &pause{backoff: b, giveUp: giveUp}
}

// until repeats a request until it succeeds, fails permanently, or has failed
// for too long.
func (p *pause) until(ctx context.Context, request func() error) error {
	for {
		err := request()
		refused, isRefused := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			p.failing = time.Time{}
			p.backoff.Reset()
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isRefused && !refused.later(), errors.Is(err, errUnreadable):
			return err
		}
		after := time.Duration(0)
		if isRefused {
			after = refused.after
		}
		if err := p.wait(ctx, after, err); err != nil {
			return err
		}
	}
}

// wait waits for about d, or for the next backoff interval if d is 0. If
// requests have failed for longer than giveUp, it returns the failure instead.
func (p *pause) wait(ctx context.Context, d time.Duration, failure error) error {
	if failure != nil && p.failing.IsZero() {
		p.failing = time.Now()
	}
	if failure != nil && time.Since(p.failing) > p.giveUp {
		return fmt.Errorf("gave up after %v: %w", p.giveUp, failure)
	}
	if d <= 0 {
		d = p.backoff.NextBackOff()
	} else {
		d = jitter(d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusal is a response with an error status.
type refusal struct {
	status  int
	code    string
	message string
	// after is the server's Retry-After, 0 if there is none.
	after time.Duration
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the server answers %d %s: %s", r.status, r.code, r.message)
}

// later reports whether the same request may succeed later.
func (r *refusal) later() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout || r.status >= 500
}

// restarts reports whether the session is over, so that a new one may succeed.
func (r *refusal) restarts() bool {
	return r.status == http.StatusGone || slices.Contains([]string{"unknown-session", "bad-cursor"}, r.code)
}
