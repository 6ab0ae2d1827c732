package patches

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"sync"

	"oriel/clair"
	"oriel/window"
)

// Form is the representation of a page in a response.
type Form int

// The forms of a page.
const (
	// JSON is one document with the state, the vulnerabilities and the cursor.
	JSON Form = iota
	// NDJSON is one vulnerability a line.
	NDJSON
	// RequestID and SessionKey are the two dialects of the original protocol.
	RequestID
	SessionKey
)

// page is a sequence of encoded rows. They never change. Copies of the whole
// page in other forms and codings are made on demand and kept.
type page struct {
	// body is the JSON document with all rows, so that it can be sent with a
	// single write. ends[i] is the offset behind row i and the comma or bracket
	// that follows it.
	body []byte
	ends []int32

	mu     sync.Mutex
	copies map[copyKey]*pageCopy // guarded by mu
}

// copyKey identifies a copy of a page.
type copyKey struct {
	form   Form
	coding string // "zstd", "gzip", or "" if not compressed
}

// pageCopy is a copy that is kept with its page.
type pageCopy struct {
	ready chan struct{} // closed by its maker when body is set
	body  []byte        // nil if there was not enough memory
}

// item is a vulnerability as scanners receive it: Clair's object and aliases.
type item struct {
	*clair.Vulnerability
	Aliases []string `json:"aliases,omitempty"`
}

// The parts of a JSON document before its rows, and between them and the
// cursor.
const (
	head = `{"state":"active","vulnerabilities":[`
	tail = `],"next":"`
)

// encode encodes rows; next is the cursor that acknowledges them.
func encode(rows []*clair.Vulnerability, next string) (*page, error) {
	var b bytes.Buffer
	b.WriteString(head)
	p := &page{ends: make([]int32, 0, len(rows)), copies: map[copyKey]*pageCopy{}}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, v := range rows {
		if err := e.Encode(item{v, v.Aliases}); err != nil {
			return nil, err
		}
		b.Bytes()[b.Len()-1] = ',' // replaces the newline
		p.ends = append(p.ends, int32(b.Len()))
	}
	if len(rows) > 0 {
		b.Truncate(b.Len() - 1)
	}
	b.WriteString(tail + next + "\"}\n")
	p.body = bytes.Clone(b.Bytes())
	return p, nil
}

// Rows implements window.Page.
func (p *page) Rows() int { return len(p.ends) }

// bytes returns the memory that the page takes, without copies.
func (p *page) bytes() int64 {
	const overhead = 256 // the struct, its map and its lock
	return int64(len(p.body)+4*len(p.ends)) + overhead
}

// slice returns the encoded rows [from, to), separated by commas.
func (p *page) slice(from, to int) []byte {
	start := int32(len(head))
	if from > 0 {
		start = p.ends[from-1]
	}
	return p.body[start : p.ends[to-1]-1]
}

// Body is the body of a response with rows.
type Body struct {
	// Coding is the content coding of the body, "" if it is not compressed.
	Coding string
	// Length is in bytes; -1 if it is not known.
	Length int64
	write  func(io.Writer) error
}

// Write writes the body.
func (b Body) Write(w io.Writer) error { return b.write(w) }

// Body returns the body of the response to a request for which there are rows.
// It is compressed with the given coding if there is memory to keep the copy.
func (s *Service) Body(ctx context.Context, r *window.Reading, form Form, coding string) (Body, error) {
	p := r.Page.(*page)
	if coding != "zstd" && coding != "gzip" {
		coding = ""
	}
	whole := r.From == 0 && r.To == p.Rows()
	if whole && coding == "" && form == JSON {
		return storedBody(p.body, ""), nil
	}
	if whole {
		body, err := s.copyOf(ctx, p, r, copyKey{form, coding})
		if err != nil {
			return Body{}, err
		}
		if body != nil {
			return storedBody(body, coding), nil
		}
	}
	write := writer(p, r, form)
	if form != JSON {
		return Body{Length: -1, write: write}, nil
	}
	var length counter
	if err := write(&length); err != nil {
		return Body{}, err
	}
	return Body{Length: int64(length), write: write}, nil
}

// storedBody returns a Body of bytes that are kept in memory.
func storedBody(body []byte, coding string) Body {
	return Body{Coding: coding, Length: int64(len(body)), write: func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	}}
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// copyOf returns a copy of a page, which the first of concurrent callers makes.
// It returns nil if there is not enough memory.
func (s *Service) copyOf(ctx context.Context, p *page, r *window.Reading, k copyKey) ([]byte, error) {
	p.mu.Lock()
	c := p.copies[k]
	if c != nil {
		p.mu.Unlock()
		select {
		case <-c.ready:
			return c.body, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c = &pageCopy{ready: make(chan struct{})}
	p.copies[k] = c
	p.mu.Unlock()
	defer close(c.ready)
	// No copy is longer than the page and what surrounds its rows.
	room := int64(len(p.body)) + 1<<10
	ok := r.Grow(room)
	if ok {
		var b bytes.Buffer
		if err := s.pages.compress(&b, k.coding, writer(p, r, k.form)); err != nil || int64(b.Len()) > room {
			ok = false
			r.Shrink(room)
		} else {
			c.body = bytes.Clone(b.Bytes())
			r.Shrink(room - int64(len(c.body)))
		}
	}
	if !ok {
		p.mu.Lock()
		delete(p.copies, k) // there may be enough memory later
		p.mu.Unlock()
	}
	return c.body, nil
}

// writer returns a function that writes the rows of a reading in a form.
func writer(p *page, r *window.Reading, form Form) func(io.Writer) error {
	switch form {
	case NDJSON:
		return func(w io.Writer) error { return p.writeLines(w, r.From, r.To) }
	case RequestID, SessionKey:
		return func(w io.Writer) error { return p.writeOriginal(w, r, form) }
	}
	return func(w io.Writer) error {
		for _, part := range [][]byte{
			[]byte(head), p.slice(r.From, r.To), []byte(tail + r.Next + "\"}\n"),
		} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	}
}

func (p *page) writeLines(w io.Writer, from, to int) error {
	for i := from; i < to; i++ {
		if _, err := w.Write(p.slice(i, i+1)); err != nil {
			return err
		}
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return err
		}
	}
	return nil
}
