package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
)

// MaxRecord limits one record of a JSON feed, in bytes. The largest published
// ones have a few megabytes.
const MaxRecord = 16 << 20

// JSON reads a document of any length, value by value. Each value and each
// token is limited by MaxRecord, so that no document makes the decoder grow
// beyond it.
type JSON struct {
	dec *json.Decoder
	src *allowance
}

// NewJSON returns a reader of the document in r.
func NewJSON(r io.Reader) *JSON {
	src := &allowance{r: r, left: MaxRecord}
	return &JSON{json.NewDecoder(src), src}
}

// allowance is a reader of a limited number of bytes, which can be raised.
type allowance struct {
	r    io.Reader
	left int
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, fmt.Errorf("%w: a record of more than %d MiB", clair.ErrTooLarge, MaxRecord>>20)
	}
	n, err := a.r.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// Decode reads the next value. If the value is not of the type of into, the
// error is a *json.UnmarshalTypeError and reading can continue.
func (j *JSON) Decode(into any) error {
	j.src.left = MaxRecord
	return UnexpectedEOF(j.dec.Decode(into))
}

// More reports whether another value follows: in the current array or object,
// or another document after the last one.
func (j *JSON) More() bool { return j.dec.More() }

// WrongType reports whether a value was read completely but is not of its
// type.
func WrongType(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

// Object reads the members of the next value, which must be an object; each
// call of visit must read exactly one value.
func (j *JSON) Object(visit func(key string) error) error {
	if err := j.expect('{'); err != nil {
		return err
	}
	for j.More() {
		key, err := j.token()
		if err != nil {
			return err
		}
		if err := visit(key.(string)); err != nil {
			return err
		}
	}
	return j.expect('}')
}

// Array reads the elements of the next value, which must be an array; each
// call of visit must read exactly one value. A null is an empty array.
func (j *JSON) Array(visit func() error) error {
	open, err := j.token()
	if err != nil {
		return err
	}
	if open == nil {
		return nil
	}
	if open != json.Delim('[') {
		return Malformed("%.40q where an array was expected", fmt.Sprint(open))
	}
	for j.More() {
		if err := visit(); err != nil {
			return err
		}
	}
	return j.expect(']')
}

// Skip reads the next value, whatever its size, and discards it.
func (j *JSON) Skip() error {
	for depth := 0; ; {
		token, err := j.token()
		if err != nil {
			return err
		}
		switch token {
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

// End checks that nothing follows the document.
func (j *JSON) End() error {
	j.src.left = MaxRecord
	if _, err := j.dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			return Malformed("something follows the end of the document")
		}
		return err
	}
	return nil
}

func (j *JSON) token() (json.Token, error) {
	j.src.left = MaxRecord
	t, err := j.dec.Token()
	return t, UnexpectedEOF(err)
}

func (j *JSON) expect(want json.Delim) error {
	got, err := j.token()
	switch {
	case err != nil:
		return err
	case got != want:
		return Malformed("%.40q where %q was expected", fmt.Sprint(got), want.String())
	}
	return nil
}

// UnexpectedEOF returns err, or io.ErrUnexpectedEOF if err is an io.EOF in the
// middle of a record.
func UnexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
