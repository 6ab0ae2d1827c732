package enrich

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"oriel/clair"
	"oriel/internal/fetch"
)

// records is a stream of records and of those that could not be used.
type records = iter.Seq2[clair.EnrichmentRecord, error]

// feed is the updater of a feed that is one file, parsed in one pass.
type feed struct {
	clair.NoopUpdater
	Feed
	client *fetch.Client
	format string
	// version is of the parser: a new one reads an unchanged feed again.
	version int
	// parse reads plain bytes. A feed without a single record is an error:
	// nobody publishes one on purpose, and it would clear all there is.
	parse func(io.Reader, emitter) error
}

// Name is the feed's name.
func (f *feed) Name() string { return f.Feed.Name }

// Revision changes with all that decides what the feed's bytes become.
func (f *feed) Revision() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", f.format, f.version, f.URL))
	return hex.EncodeToString(sum[:6])
}

// FetchEnrichment gets the feed unless it is still what the fingerprint says.
func (f *feed) FetchEnrichment(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	file, fp, err := f.client.Get(ctx, fetch.Request{URL: f.URL, Last: last, MaxSize: f.MaxSize})
	if err != nil {
		return nil, "", err // not a nil *File in an interface
	}
	return file, fp, nil
}

// ParseEnrichment reads what FetchEnrichment returned.
func (f *feed) ParseEnrichment(ctx context.Context, r io.ReadCloser) records {
	return emitting(func(e emitter) error {
		z, err := fetch.Decompress(withContext(ctx, r))
		if err != nil {
			return err
		}
		return errors.Join(f.parse(z, e), z.Close())
	})
}

// withContext makes a reader that ends when the context does.
func withContext(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx.Err, r} }

// contextReader keeps the context's question and not the context.
type contextReader struct {
	done func() error
	r    io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// emitter hands records from within a parser to whoever ranges over them. Its
// methods return errStopped once nobody does, which the parser passes up.
type emitter struct {
	yield func(clair.EnrichmentRecord, error) bool
}

var errStopped = errors.New("stopped")

// emitting makes records of a parser written as a plain function.
func emitting(parse func(emitter) error) records {
	return func(yield func(clair.EnrichmentRecord, error) bool) {
		if err := parse(emitter{yield}); err != nil && !errors.Is(err, errStopped) {
			yield(clair.EnrichmentRecord{}, err)
		}
	}
}

// record hands on a record under one tag.
func (e emitter) record(tag string, data json.RawMessage) error {
	if !e.yield(clair.EnrichmentRecord{Tags: []string{tag}, Enrichment: data}, nil) {
		return errStopped
	}
	return nil
}

// skip counts a record that could not be used.
func (e emitter) skip(record string, err error) error {
	if !e.yield(clair.EnrichmentRecord{}, &clair.RecordError{Record: record, Err: err}) {
		return errStopped
	}
	return nil
}

// badFeed is an error that ends a feed, or the reason why a record is skipped.
func badFeed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{clair.ErrInvalid}, args...)...)
}
