package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
	"oriel/internal/fetch"
)

// File is an updater whose feed is one address, which is fetched as a whole
// and then parsed as a stream. Most formats are a File with a function that
// reads it.
type File struct {
	Feed   Feed
	Client *fetch.Client
	// Version is the parser's version: a new one reads an unchanged feed again.
	Version int
	// Read parses the file, which may be a directory. If it finds no record at
	// all, it must yield ErrEmpty instead of nothing.
	Read func(context.Context, *fetch.File) Rows
}

// ErrEmpty ends the parsing of a feed without records. Nobody publishes such a
// feed on purpose, and importing it would remove all data.
var ErrEmpty = fmt.Errorf("%w: there is not one record in it", clair.ErrInvalid)

// Name is the feed's name.
func (w *File) Name() string { return w.Feed.Name }

// Revision returns a hash of everything that decides which rows the feed's
// bytes become.
func (w *File) Revision() string { return Revision(w.Feed, w.Version) }

// Revision returns a hash of everything that decides which rows the bytes of a
// feed become: its format, address, options and the parser's version.
func Revision(f Feed, version int) string {
	options, err := json.Marshal(f.Options)
	if err != nil {
		options = nil // options are strings, numbers and lists, which marshal
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%s", f.Format, version, f.URL, options))
	return hex.EncodeToString(sum[:6])
}

// Fetch fetches the feed, unless it still has the fingerprint.
func (w *File) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	f, fp, err := w.Client.Get(ctx, fetch.Request{URL: w.Feed.URL, Last: last, MaxSize: w.Feed.Bytes(MaxSizeOption)})
	if err != nil {
		return nil, "", err // not a nil *File in an interface
	}
	return f, fp, nil
}

// maxSpool limits how much of a foreign reader is copied.
const maxSpool = 2 << 30

// Parse reads the result of Fetch, or any other reader of the same bytes.
func (w *File) Parse(ctx context.Context, r io.ReadCloser) Rows {
	if f, ok := r.(*fetch.File); ok {
		return w.Read(ctx, f)
	}
	return func(yield func(*clair.Vulnerability, error) bool) {
		f, err := fetch.Spool(r, "", maxSpool)
		if err != nil {
			yield(nil, err)
			return
		}
		more := true
		for v, err := range w.Read(ctx, f) {
			if more = yield(v, err); !more {
				break
			}
		}
		if err := f.Close(); err != nil && more {
			yield(nil, err)
		}
	}
}

// Stream returns a parse function for a parser of plain bytes: the file is
// decompressed first, whatever its compression.
func Stream(parse func(context.Context, io.Reader) Rows) func(context.Context, *fetch.File) Rows {
	return func(ctx context.Context, f *fetch.File) Rows {
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

// Skip returns the error about a record that cannot be used.
func Skip(record string, err error) error { return &clair.RecordError{Record: record, Err: err} }

// IsSkip reports whether parsing continues after an error.
func IsSkip(err error) bool {
	_, ok := errors.AsType[*clair.RecordError](err)
	return ok
}
