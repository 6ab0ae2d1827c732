package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// stream writes a JSON document in pieces, with one piece in memory at a time.
// After the first error it writes nothing, and done returns the error.
type stream struct {
	w *bufio.Writer
	// begun reports whether anything was written, and comma whether the next
	// member needs one before it.
	begun, comma bool
	err          error
}

func newStream(w io.Writer) *stream { return &stream{w: bufio.NewWriter(w)} }

// open begins an object or array; it is a field of an object unless key is "".
func (s *stream) open(key, bracket string) {
	s.next(key)
	s.text(bracket)
	s.comma = false
}

// close ends the object or array of open.
func (s *stream) close(bracket string) {
	s.text(bracket)
	s.comma = true
}

// put writes a field of an object, or an element of an array if key is "".
// Each is on a line of its own, so that reports can be compared.
func (s *stream) put(key string, v any) {
	if s.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	s.next(key)
	s.bytes(b)
}

func (s *stream) next(key string) {
	if s.comma {
		s.text(",")
	}
	s.comma = true
	if s.begun {
		s.text("\n")
	}
	s.begun = true
	if key != "" {
		b, err := json.Marshal(key)
		if err != nil && s.err == nil {
			s.err = err
		}
		s.bytes(b)
		s.text(":")
	}
}

func (s *stream) text(t string) { s.bytes([]byte(t)) }

// bytes writes JSON. It escapes the control characters that JSON allows but
// terminals interpret: DEL and those from U+0080 to U+009F.
func (s *stream) bytes(b []byte) {
	if s.err != nil {
		return
	}
	for {
		i := bytes.IndexFunc(b, func(r rune) bool { return r >= 0x7f && r <= 0x9f })
		if i < 0 {
			_, s.err = s.w.Write(b)
			return
		}
		r, size := utf8.DecodeRune(b[i:])
		const hex = "0123456789abcdef"
		if _, s.err = s.w.Write(append(b[:i:i], '\\', 'u', '0', '0', hex[r>>4], hex[r&15])); s.err != nil {
			return
		}
		b = b[i+size:]
	}
}

// done ends the document with a line break.
func (s *stream) done() error {
	s.text("\n")
	if s.err != nil {
		return s.err
	}
	return s.w.Flush()
}
