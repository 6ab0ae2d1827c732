package match

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"oriel/clair"
	"oriel/internal/severity"
)

// Enriching is an enricher with what it reads and how long it may take.
type Enriching struct {
	Enricher clair.Enricher
	// Records reaches the enricher's own records and no others.
	Records clair.EnrichmentGetter
	// Timeout bounds one report's enrichment. Default 2 s.
	Timeout time.Duration
}

// Failure is an enricher that failed.
type Failure struct {
	Enricher string
	Err      error
}

// Matcher makes whole reports: matched, enriched and judged. Its methods may
// be called from many goroutines.
type Matcher struct {
	source    Source
	enrichers []*runner
}

// NewMatcher returns a matcher. The keys of the enrichers are in a report in
// their order, except that CVSS is first.
func NewMatcher(source Source, enrichers ...Enriching) *Matcher {
	m := &Matcher{source: source}
	for _, e := range enrichers {
		if e.Timeout <= 0 {
			e.Timeout = defaultTimeout
		}
		m.enrichers = append(m.enrichers, &runner{Enriching: e})
	}
	return m
}

const (
	defaultTimeout = 2 * time.Second
	// maxStuck is the number of abandoned runs of one enricher that may still
	// be going on; it is not started again before one of them has ended.
	maxStuck = 4
)

// Report finds the vulnerabilities that affect the packages of an index report,
// runs all enrichers at once, and judges how urgent each vulnerability is. An
// enricher that fails is in Result.Failures and has no other effect.
func (m *Matcher) Report(ctx context.Context, index *clair.IndexReport) (*Result, error) {
	res, err := Report(ctx, m.source, index)
	if err != nil {
		return nil, err
	}
	said := m.enrich(ctx, res.Report)
	// A caller who went away must not be taken for enrichers that failed.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("enrich %s: %w", index.Hash, err)
	}
	evidence := map[string]severity.Evidence{}
	for i, s := range said {
		if s.err != nil {
			res.Failures = append(res.Failures, Failure{m.enrichers[i].Enricher.Name(), s.err})
			continue
		}
		for id, e := range s.evidence {
			evidence[id] = evidence[id].Merge(e)
		}
	}
	res.Report.Enrichments = ordered(said)
	res.Priority = severity.JudgeAll(res.Report.Vulnerabilities, evidence)
	return res, nil
}

// ordered puts CVSS first. Quay's client takes the first key for CVSS and fails
// on any other and on an empty list, so the key is there even if there are no
// scores.
func ordered(said []said) clair.Enrichments {
	if len(said) == 0 {
		return clair.Enrichments{}
	}
	out := clair.Enrichments{{Type: clair.TypeCVSS, Messages: []json.RawMessage{json.RawMessage(`{}`)}}}
	for _, s := range said {
		switch {
		case s.err != nil || len(s.messages) == 0:
		case s.mediaType == clair.TypeCVSS:
			out[0].Messages = s.messages
		default:
			out = append(out, clair.Enrichment{Type: s.mediaType, Messages: s.messages})
		}
	}
	return out
}

// said is the answer of one enricher.
type said struct {
	mediaType string
	messages  []json.RawMessage
	evidence  map[string]severity.Evidence
	err       error
}

// enrich runs all enrichers at once and returns what they said, in order.
func (m *Matcher) enrich(ctx context.Context, r *clair.VulnerabilityReport) []said {
	// An abandoned enricher may still be reading while the report goes on: this
	// copy and the maps that it refers to are not written to again.
	view := *r
	channels := make([]<-chan said, len(m.enrichers))
	for i, e := range m.enrichers {
		channels[i] = e.start(ctx, &view)
	}
	out := make([]said, len(m.enrichers))
	for i, c := range channels {
		out[i] = <-c
	}
	return out
}

// runner runs one enricher.
type runner struct {
	Enriching
	// stuck counts the abandoned runs that have not ended.
	stuck atomic.Int32
}

var (
	errSlow  = errors.New("it took too long")
	errStuck = errors.New("earlier runs of it have not ended yet")
)

// start runs the enricher in a goroutine of its own. The channel has its answer
// once it is done or its time is over.
func (e *runner) start(ctx context.Context, r *clair.VulnerabilityReport) <-chan said {
	out := make(chan said, 1)
	if e.stuck.Load() >= maxStuck {
		out <- said{err: fmt.Errorf("%w: %w", clair.ErrUnavailable, errStuck)}
		return out
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.Timeout, errSlow)
	done := make(chan said, 1)
	go func() { done <- e.run(ctx, r) }()
	go func() {
		defer cancel()
		select {
		case s := <-done:
			if s.err != nil && ctx.Err() != nil {
				s.err = context.Cause(ctx) // more telling than the enricher's own error
			}
			out <- s
		case <-ctx.Done():
			e.stuck.Add(1)
			out <- said{err: fmt.Errorf("%w: %w", clair.ErrUnavailable, context.Cause(ctx))}
			<-done
			e.stuck.Add(-1)
		}
	}()
	return out
}

// run runs the enricher and reads its answer; a panic is an error.
func (e *runner) run(ctx context.Context, r *clair.VulnerabilityReport) (s said) {
	defer func() {
		if p := recover(); p != nil {
			s = said{err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	s.mediaType, s.messages, s.err = e.Enricher.Enrich(ctx, e.Records, r)
	if s.err != nil {
		return s
	}
	s.evidence, s.err = severity.ReadEvidence(s.mediaType, s.messages)
	return s
}
