package patches

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"sync"

	"oriel/clair"
	"oriel/window"
)

// Form is how a page is written.
type Form int

// The forms.
const (
	// JSON is one document with the state, the vulnerabilities and the cursor.
	JSON Form = iota
	// NDJSON is one vulnerability a line, and nothing else.
	NDJSON
	// RequestID and SessionKey are the two dialects of the original protocol.
	RequestID
	SessionKey
)

// page is some rows, encoded. Nothing changes the rows; copies are made of all
// of them in other forms, and of those compressed, and kept.
type page struct {
	// body is all of them as one JSON document, as it is sent: in one piece,
	// which costs the least. ends are where each row's object in it ends, and
	// the comma or the bracket after that.
	body []byte
	ends []int32

	mu     sync.Mutex
	copies map[kind]*replica // guarded by mu
}

// kind tells the copies of a page apart.
type kind struct {
	form   Form
	coding string // "zstd", "gzip", or "" where it is not compressed
}

// replica is a copy that is kept.
type replica struct {
	ready chan struct{} // closes when body is there; whoever makes it closes it
	body  []byte        // nil where there was no room
}

// item is a vulnerability as scanners get it: Clair's, with its other ids.
type item struct {
	*clair.Vulnerability
	Aliases []string `json:"aliases,omitempty"`
}

// What comes before the rows of a document, and after them before the cursor.
const (
	head = `{"state":"active","vulnerabilities":[`
	tail = `],"next":"`
)

// encode encodes rows that a cursor acknowledges.
func encode(rows []*clair.Vulnerability, next string) (*page, error) {
	var b bytes.Buffer
	b.WriteString(head)
	p := &page{ends: make([]int32, 0, len(rows)), copies: map[kind]*replica{}}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, v := range rows {
		if err := e.Encode(item{v, v.Aliases}); err != nil {
			return nil, err
		}
		b.Bytes()[b.Len()-1] = ',' // in place of the end of the line
		p.ends = append(p.ends, int32(b.Len()))
	}
	if len(rows) > 0 {
		b.Truncate(b.Len() - 1)
	}
	b.WriteString(tail + next + "\"}\n")
	p.body = bytes.Clone(b.Bytes())
	return p, nil
}

// Rows makes a page a window.Page.
func (p *page) Rows() int { return len(p.ends) }

// bytes is what it takes, without copies.
func (p *page) bytes() int64 {
	const rest = 256 // the struct, its map and its lock
	return int64(len(p.body)+4*len(p.ends)) + rest
}

// slice is the rows from one to another, without the last comma.
func (p *page) slice(from, to int) []byte {
	start := int32(len(head))
	if from > 0 {
		start = p.ends[from-1]
	}
	return p.body[start : p.ends[to-1]-1]
}

// Body is what answers a request for rows.
type Body struct {
	// Coding is how it is compressed already, "" if it is not.
	Coding string
	// Length is in bytes, and -1 where it is not known.
	Length int64
	write  func(io.Writer) error
}

// Write writes it.
func (b Body) Write(w io.Writer) error { return b.write(w) }

// Body makes the answer to a request that has something to read, compressed as
// is wanted where there is room for keeping that. platform is what the original
// protocol says the rows are for.
func (s *Service) Body(ctx context.Context, r *window.Reading, form Form, coding string) (Body, error) {
	p := r.Page.(*page)
	if coding != "zstd" && coding != "gzip" {
		coding = ""
	}
	whole := r.From == 0 && r.To == p.Rows()
	if whole && coding == "" && form == JSON {
		return whatIs(p.body, ""), nil
	}
	if whole {
		body, err := s.copyOf(ctx, p, r, kind{form, coding})
		if err != nil {
			return Body{}, err
		}
		if body != nil {
			return whatIs(body, coding), nil
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

func whatIs(body []byte, coding string) Body {
	return Body{Coding: coding, Length: int64(len(body)), write: func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	}}
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// copyOf gives the copy of a page, made once for all who want it; nil where
// there is no room for it.
func (s *Service) copyOf(ctx context.Context, p *page, r *window.Reading, k kind) ([]byte, error) {
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
	c = &replica{ready: make(chan struct{})}
	p.copies[k] = c
	p.mu.Unlock()
	defer close(c.ready)
	// None is longer than the page with what is around its rows.
	room := int64(len(p.body)) + 1<<10
	ok := r.Grow(room)
	if ok {
		var b bytes.Buffer
		if err := s.coders.code(&b, k.coding, writer(p, r, k.form)); err != nil || int64(b.Len()) > room {
			ok = false
			r.Shrink(room)
		} else {
			c.body = bytes.Clone(b.Bytes())
			r.Shrink(room - int64(len(c.body)))
		}
	}
	if !ok {
		p.mu.Lock()
		delete(p.copies, k) // there may be room later
		p.mu.Unlock()
	}
	return c.body, nil
}

// writer gives what writes the rows of a reading in a form.
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

// originalItem is a vulnerability in the original protocol, as requestID's
// dialect spells it.
type originalItem struct {
	Name             string          `json:"name"`
	AffectedPlatform string          `json:"affected_platform"`
	DetailsHref      string          `json:"details_href"`
	Severity         int             `json:"severity"`
	FixedIn          []originalFixed `json:"fixed_in"`
}

type originalFixed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// olderItem is the same as session's dialect spells it.
type olderItem struct {
	Name             string          `json:"name"`
	AffectedPlatform string          `json:"affectedPlatform"`
	DetailsHref      string          `json:"detailsHref"`
	Severity         int             `json:"severity"`
	FixedIn          []originalFixed `json:"fixedIn"`
}

// writeOriginal writes the answer of the original protocol, whose items are
// made of ours.
func (p *page) writeOriginal(w io.Writer, r *window.Reading, form Form) error {
	sep := []byte(`{"error":null,"vulnerabilities":[`)
	for i := r.From; i < r.To; i++ {
		var v clair.Vulnerability
		if err := json.Unmarshal(p.slice(i, i+1), &v); err != nil {
			return err
		}
		var out any = original(&v, r.Session.Platform)
		if form == SessionKey {
			out = olderItem(original(&v, r.Session.Platform))
		}
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(sep, text...)); err != nil {
			return err
		}
		sep = []byte{','}
	}
	state := window.Active
	if r.Last {
		state = window.Done
	}
	_, err := io.WriteString(w, `],"state":"`+string(state)+`"}`+"\n")
	return err
}

// original is a vulnerability in the original protocol's words. Its severities
// are unknown, negligible, low, medium, high, urgent and critical, from 0 to 6;
// ours have no urgent.
func original(v *clair.Vulnerability, platform string) originalItem {
	out := originalItem{Name: v.Name, AffectedPlatform: platform, Severity: int(v.NormalizedSeverity), FixedIn: []originalFixed{}}
	if v.NormalizedSeverity == clair.Critical {
		out.Severity++
	}
	out.DetailsHref = firstLink(v.Links)
	fixed := v.FixedInVersion
	if v.Repo != nil {
		if _, ok := clair.EcosystemByRepository(v.Repo.Name); ok {
			b, err := clair.ParseBounds(fixed)
			if err != nil {
				b = clair.Bounds{}
			}
			fixed = b.Fixed
		}
	}
	if fixed != "" && fixed != "0" && v.Package != nil {
		out.FixedIn = append(out.FixedIn, originalFixed{v.Package.Name, fixed})
	}
	return out
}

// firstLink is the first of some links, if it is one.
func firstLink(links string) string {
	for i := range len(links) {
		if links[i] == ' ' {
			links = links[:i]
			break
		}
	}
	if _, err := url.Parse(links); err != nil {
		return ""
	}
	return links
}
