package match_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/severity"
	"oriel/match"
)

// enricher says what its function says.
type enricher struct {
	name   string
	enrich func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error)
}

func (e enricher) Name() string { return e.name }

func (e enricher) Enrich(ctx context.Context, _ clair.EnrichmentGetter, r *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
	return e.enrich(ctx, r)
}

// saying makes an enricher that gives every vulnerability one record.
func saying(media, record string) enricher {
	return enricher{"saying", func(_ context.Context, r *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
		all := map[string][]json.RawMessage{}
		for id := range r.Vulnerabilities {
			all[id] = []json.RawMessage{json.RawMessage(record)}
		}
		b, err := json.Marshal(all)
		return media, []json.RawMessage{b}, err
	}}
}

func onePackage() *clair.IndexReport {
	return debianIndex(map[string]*clair.Package{"1": {Name: "a", Version: "1", Kind: clair.Binary}})
}

// An enricher that errs, panics, hangs or talks nonsense costs the report that
// enricher and nothing else.
func TestMatcher_FailingEnrichers(t *testing.T) {
	db := newStore(t, debianRow("1", "a", clair.Binary, "2", clair.High))
	released := make(chan struct{})
	defer close(released)
	for name, bad := range map[string]enricher{
		"errs": {"bad", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			return "", nil, errors.New("no")
		}},
		"panics": {"bad", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) { panic("no") }},
		"hangs": {"bad", func(ctx context.Context, _ *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			<-ctx.Done()
			return "", nil, ctx.Err()
		}},
		"hangs_deaf": {"bad", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			<-released
			return "", nil, nil
		}},
		"nonsense": {"bad", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			return clair.TypeEPSS, []json.RawMessage{json.RawMessage(`[`)}, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := match.NewMatcher(db,
				match.Enriching{Enricher: bad, Timeout: 50 * time.Millisecond},
				match.Enriching{Enricher: saying(clair.TypeEPSS, `{"epss":0.25}`)})
			for range 6 { // more than may be stuck
				res, err := m.Report(t.Context(), onePackage())
				require.NoError(t, err)
				require.Len(t, res.Report.Vulnerabilities, 1)
				require.Len(t, res.Failures, 1)
				require.Equal(t, "bad", res.Failures[0].Enricher)
				require.Error(t, res.Failures[0].Err)
				require.Len(t, res.Report.Enrichments, 2)
				require.Equal(t, clair.TypeCVSS, res.Report.Enrichments[0].Type)
				require.Equal(t, clair.TypeEPSS, res.Report.Enrichments[1].Type)
			}
		})
	}
}

// A caller that goes away is not taken for enrichers that failed.
func TestMatcher_CallerGone(t *testing.T) {
	db := newStore(t, debianRow("1", "a", clair.Binary, "2", clair.High))
	ctx, gone := context.WithCancel(t.Context())
	m := match.NewMatcher(db, match.Enriching{Enricher: enricher{"slow", func(ctx context.Context, _ *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
		gone()
		<-ctx.Done()
		return "", nil, ctx.Err()
	}}})
	_, err := m.Report(ctx, onePackage())
	require.ErrorIs(t, err, context.Canceled)
}

// TestMatcher_Priority merges what several enrichers say of one vulnerability;
// the rules themselves are tested in package severity.
func TestMatcher_Priority(t *testing.T) {
	db := newStore(t, debianRow("1", "a", clair.Binary, "2", clair.Unknown))
	res, err := match.NewMatcher(db,
		match.Enriching{Enricher: saying(clair.TypeEPSS, `{"epss":0.001}`)},
		match.Enriching{Enricher: saying(clair.TypeCVSS, `{"baseScore":7}`)},
		match.Enriching{Enricher: saying(clair.TypeKEV, `{"cve":"CVE-1"}`)},
	).Report(t.Context(), onePackage())
	require.NoError(t, err)
	require.Len(t, res.Priority, 1)
	for _, p := range res.Priority {
		require.Equal(t, severity.LevelUrgent, p.Level)
		require.Equal(t, []string{"known to be exploited", "EPSS 0.001", "severity High (CVSS 7)"}, p.Reasons)
		require.True(t, p.Fixable)
	}
}

// The messages of enrichers are parsed as JSON, in any form, and are refused
// if they are not JSON or have another shape.
func TestMatcher_Messages(t *testing.T) {
	db := newStore(t, debianRow("1", "a", clair.Binary, "2", clair.Low))
	number := func(x float64) *float64 { return &x }
	for message, want := range map[string]*float64{
		`{"1":[{"epss":0.5}]}`: number(.5),
		" { \"1\" :\n[ { \"x\" : [1,{\"epss\":0.9}] ,\t\"epss\" : 5e-1 } , {} ]\r\n}\n": number(.5),
		`{"0":[{"epss":1}],"\u0031":[{"epss":0.25},{"epss":0.5},{"epss":null}]}`:        number(.5),
		`{"1":[{"a":"}],{\\","b":"\"epss\":1","epss":0.5}],"2":[]}`:                     number(.5),
		`{"1":[{"epss":null}]}`: nil,
		`{"1":[]}`:              nil,
		`{}`:                    nil,
	} {
		res, err := match.NewMatcher(db, match.Enriching{Enricher: enricher{"says", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			return clair.TypeEPSS, []json.RawMessage{json.RawMessage(message)}, nil
		}}}).Report(t.Context(), onePackage())
		require.NoError(t, err)
		require.Empty(t, res.Failures, message)
		require.Equal(t, want, res.Priority["1"].EPSS, message)
	}
	for _, message := range []string{"", "{", `[]`, `1`, `{"1":{}}`, `{"1":[1]}`, `{"1":[{"epss":"0.5"}]}`, `{"1":[{"epss":{}}]}`, `{"1":[{"epss":0.5}]`, `{"1":[{"epss":0.5}]} x`} {
		res, err := match.NewMatcher(db, match.Enriching{Enricher: enricher{"says", func(context.Context, *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
			return clair.TypeEPSS, []json.RawMessage{json.RawMessage(message)}, nil
		}}}).Report(t.Context(), onePackage())
		require.NoError(t, err)
		require.Len(t, res.Failures, 1, message)
		require.ErrorIs(t, res.Failures[0].Err, clair.ErrInvalid, message)
		require.NotContains(t, res.Failures[0].Err.Error(), "panic", message)
	}
}
