package updater

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

// rows is a stream of rows and of the records that could not be used.
type rows = iter.Seq2[*clair.Vulnerability, error]

// whole is an updater whose feed is one address, fetched whole and then
// parsed as a stream. Most formats are one of these and a parse function.
type whole struct {
	feed   Feed
	client *fetch.Client
	// version is of the parser: a new one reads an unchanged feed again.
	version int
	// parse reads the file, which may be a directory. Where it finds no
	// record at all it must yield errEmpty and not end without a word.
	parse func(context.Context, *fetch.File) rows
}

// errEmpty ends the parsing of a feed that has no records. Nobody publishes
// such a feed on purpose, and taking it at its word would clear all data.
var errEmpty = fmt.Errorf("%w: there is not one record in it", clair.ErrInvalid)

// Name is the feed's name.
func (w *whole) Name() string { return w.feed.Name }

// Revision changes with all that decides what the feed's bytes become.
func (w *whole) Revision() string { return revision(w.feed, w.version) }

// revision sums what decides what the bytes of a feed become.
func revision(f Feed, version int) string {
	options, err := json.Marshal(f.Options)
	if err != nil {
		options = nil // options are strings, numbers and lists, which marshal
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%s", f.Format, version, f.URL, options))
	return hex.EncodeToString(sum[:6])
}

// Fetch gets the feed unless it is still what the fingerprint says.
func (w *whole) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	f, fp, err := w.client.Get(ctx, fetch.Request{URL: w.feed.URL, Last: last, MaxSize: w.feed.Bytes(MaxSizeOption)})
	if err != nil {
		return nil, "", err // not a nil *File in an interface
	}
	return f, fp, nil
}

// maxSpool bounds what is copied of a reader that is not ours.
const maxSpool = 2 << 30

// Parse reads what Fetch returned, or any other reader of the same bytes.
func (w *whole) Parse(ctx context.Context, r io.ReadCloser) rows {
	if f, ok := r.(*fetch.File); ok {
		return w.parse(ctx, f)
	}
	return func(yield func(*clair.Vulnerability, error) bool) {
		f, err := fetch.Spool(r, "", maxSpool)
		if err != nil {
			yield(nil, err)
			return
		}
		more := true
		for v, err := range w.parse(ctx, f) {
			if more = yield(v, err); !more {
				break
			}
		}
		if err := f.Close(); err != nil && more {
			yield(nil, err)
		}
	}
}

// stream makes a parse function for whole of one that reads plain bytes: the
// file is decompressed first, whatever it is compressed with.
func stream(parse func(context.Context, io.Reader) rows) func(context.Context, *fetch.File) rows {
	return func(ctx context.Context, f *fetch.File) rows {
		return func(yield func(*clair.Vulnerability, error) bool) {
			r, err := fetch.Decompress(f)
			if err != nil {
				yield(nil, err)
				return
			}
			more := true
			for v, err := range parse(ctx, r) {
				if more = yield(v, err); !more {
					break
				}
			}
			if err := r.Close(); err != nil && more {
				yield(nil, err)
			}
		}
	}
}

// skip is the error that stands for a record that could not be used.
func skip(record string, err error) error { return &clair.RecordError{Record: record, Err: err} }

// isSkip says whether parsing goes on after an error.
func isSkip(err error) bool {
	_, ok := errors.AsType[*clair.RecordError](err)
	return ok
}
