package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"oriel/clair"
)

// Store keeps the results of an Indexer. state is always State(): results of
// other versions of the readers are not returned.
type Store interface {
	// FinishedReport returns the report of a manifest that was finished in
	// this state, or an ErrNotFound.
	FinishedReport(ctx context.Context, hash clair.Digest, state string) (*clair.IndexReport, error)
	// PutManifest keeps a manifest and which layers it has, so that the
	// results of layers last as long as a manifest has them.
	PutManifest(ctx context.Context, m *clair.Manifest) error
	// LayerResult returns the bytes that are kept for a layer, or an
	// ErrNotFound.
	LayerResult(ctx context.Context, layer clair.Digest, state string) ([]byte, error)
	PutLayerResult(ctx context.Context, layer clair.Digest, state string, result []byte) error
	// PutReport keeps the report of a manifest in its current state. One that
	// is IndexFinished is also indexed by its packages; until then the index
	// has those of the report before.
	PutReport(ctx context.Context, r *clair.IndexReport, state string) error
}

// Indexer makes index reports of manifests. It may be used by many goroutines;
// the caller bounds their number.
type Indexer struct {
	store     Store
	fetcher   *Fetcher
	timeout   time.Duration
	log       *slog.Logger
	state     string
	manifests group[clair.Digest, *clair.IndexReport]
	layers    group[clair.Digest, *LayerResult]
}

// NewIndexer returns an indexer.
func NewIndexer(cfg Config, store Store, fetcher *Fetcher, log *slog.Logger) *Indexer {
	return &Indexer{store: store, fetcher: fetcher, timeout: time.Duration(cfg.Timeout), log: log, state: State()}
}

// CheckManifest returns an ErrInvalid if a manifest cannot be indexed.
func CheckManifest(m *clair.Manifest) error {
	if m.Hash == "" {
		return clair.Invalid("hash", "is missing")
	}
	if len(m.Layers) == 0 {
		return clair.Invalid("layers", "is missing")
	}
	const most = 10_000 // far more than any runtime can mount
	if len(m.Layers) > most {
		return clair.Invalid("layers", "there are over %d", most)
	}
	for i, l := range m.Layers {
		if l.Hash == "" {
			return clair.Invalid(fmt.Sprintf("layers.%d.hash", i), "is missing")
		}
	}
	return nil
}

// Index makes the report of a manifest, or returns the one that the same
// readers made before. Concurrent calls for one manifest do the work once.
//
// If it fails, the report has the state IndexError and is returned together
// with the error, unless CheckManifest refuses the manifest. The error is an
// ErrInvalid if it is due to the content of the manifest, so that another
// attempt cannot succeed.
func (x *Indexer) Index(ctx context.Context, m *clair.Manifest) (*clair.IndexReport, error) {
	if err := CheckManifest(m); err != nil {
		return nil, err
	}
	return x.manifests.do(ctx, m.Hash, func(ctx context.Context) (*clair.IndexReport, error) {
		bounded, cancel := context.WithTimeoutCause(ctx, x.timeout, fmt.Errorf("%w: indexing took over %v", context.DeadlineExceeded, x.timeout))
		defer cancel()
		r, err := x.index(bounded, m)
		if err == nil {
			return r, nil
		}
		return x.fail(ctx, m.Hash, err)
	})
}

// keepFailure is the time for storing a failure after its context has ended.
const keepFailure = 10 * time.Second

// fail stores that a manifest could not be indexed.
func (x *Indexer) fail(ctx context.Context, hash clair.Digest, err error) (*clair.IndexReport, error) {
	r := newReport(hash).finish()
	r.State, r.Err = clair.StateIndexError, err.Error()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFailure)
	defer cancel()
	return r, errors.Join(err, x.store.PutReport(ctx, r, x.state))
}

// index goes through the states. A layer is scanned while it is fetched, so
// ScanLayers is the state in which the results are put together.
func (x *Indexer) index(ctx context.Context, m *clair.Manifest) (*clair.IndexReport, error) {
	r, err := x.store.FinishedReport(ctx, m.Hash, x.state)
	if err == nil || !errors.Is(err, clair.ErrNotFound) {
		return r, err
	}
	if err := x.enter(ctx, m.Hash, clair.StateCheckManifest); err != nil {
		return nil, err
	}
	if err := x.store.PutManifest(ctx, m); err != nil {
		return nil, err
	}
	if err := x.enter(ctx, m.Hash, clair.StateFetchLayers); err != nil {
		return nil, err
	}
	results := make([]*LayerResult, len(m.Layers))
	for i, l := range m.Layers {
		if results[i], err = x.layer(ctx, l); err != nil {
			return nil, err
		}
	}
	results, err = completeLinks(results, func(i int, aliases map[string]string) (*LayerResult, error) {
		return x.fetcher.ScanFiles(ctx, m.Layers[i], aliases)
	})
	if err != nil {
		return nil, err
	}
	for _, state := range []string{clair.StateScanLayers, clair.StateCoalesce} {
		if err := x.enter(ctx, m.Hash, state); err != nil {
			return nil, err
		}
	}
	if r, err = Coalesce(m.Hash, results); err != nil {
		return nil, err
	}
	if err := x.enter(ctx, m.Hash, clair.StateIndexManifest); err != nil {
		return nil, err
	}
	x.logUnmatched(ctx, r)
	return r, x.store.PutReport(ctx, r, x.state)
}

// enter stores that a manifest has reached a state.
func (x *Indexer) enter(ctx context.Context, hash clair.Digest, state string) error {
	r := newReport(hash).finish()
	r.State = state
	return x.store.PutReport(ctx, r, x.state)
}

// layer returns the content of a layer: the result that is stored, or one that
// is made once for all manifests that need it at the same time.
func (x *Indexer) layer(ctx context.Context, l clair.Layer) (*LayerResult, error) {
	if kept, err := x.kept(ctx, l.Hash); err == nil || !errors.Is(err, clair.ErrNotFound) {
		return kept, err
	}
	return x.layers.do(ctx, l.Hash, func(ctx context.Context) (*LayerResult, error) {
		// Another manifest may have stored it meanwhile.
		if kept, err := x.kept(ctx, l.Hash); err == nil || !errors.Is(err, clair.ErrNotFound) {
			return kept, err
		}
		result, err := x.fetcher.Scan(ctx, l)
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(result)
		if err != nil {
			return nil, err
		}
		return result, x.store.PutLayerResult(ctx, l.Hash, x.state, b)
	})
}

func (x *Indexer) kept(ctx context.Context, layer clair.Digest) (*LayerResult, error) {
	b, err := x.store.LayerResult(ctx, layer, x.state)
	if err != nil {
		return nil, err
	}
	result := &LayerResult{}
	if err := json.Unmarshal(b, result); err != nil {
		return nil, fmt.Errorf("read the result of layer %s: %w", layer, err)
	}
	return result, nil
}

// logUnmatched logs the components that could not be identified.
func (x *Indexer) logUnmatched(ctx context.Context, r *clair.IndexReport) {
	if len(r.Unmatched) > 0 {
		x.log.InfoContext(ctx, "components unmatched", "manifest", r.Hash, "count", len(r.Unmatched), "sample", r.Unmatched[0])
	}
}
