package updater

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/version"
)

// emitter hands rows from within a parser to whoever ranges over them. Its
// methods return errStopped once nobody does, which the parser passes up.
type emitter struct {
	yield func(*clair.Vulnerability, error) bool
}

// emitting makes rows of a parser written as a plain function.
func emitting(parse func(emitter) error) rows {
	return func(yield func(*clair.Vulnerability, error) bool) {
		if err := parse(emitter{yield}); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// row hands on a row, or counts it as skipped where it names nothing.
func (e emitter) row(v *clair.Vulnerability) error {
	if v.Name == "" || v.Package.Name == "" {
		return e.skip(v.Name+v.Package.Name, badFeed("a row without an advisory or without a package"))
	}
	if !e.yield(v, nil) {
		return errStopped
	}
	return nil
}

// skip counts a record that could not be used.
func (e emitter) skip(record string, err error) error {
	if !e.yield(nil, &clair.RecordError{Record: record, Err: err}) {
		return errStopped
	}
	return nil
}

// badFeed is an error that ends a feed.
func badFeed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{clair.ErrInvalid}, args...)...)
}

// checkVersion says whether a version can be compared at all, so that a row
// that could never match is counted as skipped instead.
func checkVersion(r distro.Release, text string) error {
	if _, err := version.Parse(version.Scheme(r.Scheme), text); err != nil {
		return err
	}
	return nil
}

// cveID is a CVE's id, also as some feeds misspell it.
var cveID = regexp.MustCompile(`(?i)\bCVE[-_ ]([0-9]{4})[-_]([0-9]{4,19})\b`)

// findCVEs gives the ids of the CVEs that a text names, each once, in their
// own spelling and in the order of the text.
func findCVEs(text string) []string {
	var found []string
	for _, m := range cveID.FindAllStringSubmatch(text, -1) {
		found = addOnce(found, "CVE-"+m[1]+"-"+m[2])
	}
	return found
}

// addOnce appends a string to a short list that lacks it.
func addOnce(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// members reads the members of the JSON object that comes next; each call of
// visit must read exactly one value.
func members(dec *json.Decoder, visit func(key string) error) error {
	if err := expect(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return truncated(err)
		}
		if err := visit(key.(string)); err != nil {
			return err
		}
	}
	return expect(dec, '}')
}

// elements reads the elements of the JSON array that comes next, as members
// does those of an object. A null is an empty array.
func elements(dec *json.Decoder, visit func() error) error {
	open, err := dec.Token()
	if err != nil {
		return truncated(err)
	}
	if open == nil {
		return nil
	}
	if open != json.Delim('[') {
		return badFeed("%v where an array begins", open)
	}
	for dec.More() {
		if err := visit(); err != nil {
			return err
		}
	}
	return expect(dec, ']')
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	switch {
	case err != nil:
		return truncated(err)
	case got != want:
		return badFeed("%.40q where %q is expected", fmt.Sprint(got), want.String())
	}
	return nil
}

// decode reads the next JSON value. A value of the wrong type is a
// *json.UnmarshalTypeError, after which reading can go on.
func decode(dec *json.Decoder, into any) error { return truncated(dec.Decode(into)) }

// wrongType says that a JSON value was read whole but is not of its type.
func wrongType(err error) bool {
	var e *json.UnmarshalTypeError
	return errors.As(err, &e)
}

// skipValue reads the next JSON value, however large, and forgets it.
func skipValue(dec *json.Decoder) error {
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			return truncated(err)
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

// ended checks that nothing follows a document.
func ended(dec *json.Decoder) error {
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			return badFeed("something follows the end of the document")
		}
		return err
	}
	return nil
}

// truncated tells an end that comes too early from an end.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
