package enrich

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// fileFeed is the updater of a feed of one file that is parsed in one pass.
type fileFeed struct {
	clair.NoopUpdater
	feed.Feed
	client *fetch.Client
	format string
	// version is the parser's version: a new one reads an unchanged feed again.
	version int
	// parse reads plain bytes. A feed without a single record is an error:
	// nobody publishes one on purpose, and it would remove all data.
	parse func(io.Reader, feed.RecordEmitter) error
}

// Name is the feed's name.
func (f *fileFeed) Name() string { return f.Feed.Name }

// Revision returns a hash of everything that decides which records the feed's
// bytes become.
func (f *fileFeed) Revision() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", f.format, f.version, f.URL))
	return hex.EncodeToString(sum[:6])
}

// FetchEnrichment fetches the feed, unless it still has the fingerprint.
func (f *fileFeed) FetchEnrichment(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	file, fp, err := f.client.Get(ctx, fetch.Request{URL: f.URL, Last: last, MaxSize: f.Bytes(feed.MaxSizeOption)})
	if err != nil {
		return nil, "", err // not a nil *File in an interface
	}
	return file, fp, nil
}

// ParseEnrichment reads the result of FetchEnrichment.
func (f *fileFeed) ParseEnrichment(ctx context.Context, r io.ReadCloser) feed.Records {
	return feed.EmitRecords(func(e feed.RecordEmitter) error {
		z, err := fetch.Decompress(feed.WithContext(ctx, r))
		if err != nil {
			return err
		}
		return errors.Join(f.parse(z, e), z.Close())
	})
}
