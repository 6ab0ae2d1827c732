package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
)

// maxRecord bounds one value that is read whole. The largest that NVD
// publishes, of kernels with all their versions, have a few MiB.
const maxRecord = 16 << 20

// reader reads a JSON document piece by piece and never holds more than one
// record of it.
type reader struct {
	*json.Decoder
	src *budget
}

func newReader(r io.Reader) reader {
	src := &budget{r: r, left: maxRecord}
	return reader{json.NewDecoder(src), src}
}

// budget fails once a single record is too large to be held.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: a record of more than %d MiB", clair.ErrTooLarge, maxRecord>>20)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// decode reads one value whole. wrongType says that it was read, but is not of
// its type.
func (r reader) decode(into any) (wrongType bool, err error) {
	r.src.left = maxRecord
	err = r.Decode(into)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return true, err
	}
	return false, truncated(err)
}

// truncated makes an end in the middle of a document the error that it is.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// object reads the members of the object that comes next; visit must read one
// value at each call.
func (r reader) object(visit func(key string) error) error {
	if err := r.expect('{'); err != nil {
		return err
	}
	for r.More() {
		key, err := r.token()
		if err != nil {
			return err
		}
		if err := visit(key.(string)); err != nil {
			return err
		}
	}
	return r.expect('}')
}

// array reads the elements of the array that comes next.
func (r reader) array(visit func() error) error {
	if err := r.expect('['); err != nil {
		return err
	}
	for r.More() {
		if err := visit(); err != nil {
			return err
		}
	}
	return r.expect(']')
}

func (r reader) token() (json.Token, error) {
	r.src.left = maxRecord
	t, err := r.Token()
	return t, truncated(err)
}

func (r reader) expect(want json.Delim) error {
	got, err := r.token()
	switch {
	case err != nil:
		return err
	case got != want:
		return badFeed("%.40v where %v was expected", got, want)
	}
	return nil
}

// skipValue reads the next value and forgets it.
func (r reader) skipValue() error {
	for depth := 0; ; {
		t, err := r.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
