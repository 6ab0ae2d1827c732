package osv

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// osvVersion is the version of this parser.
const osvVersion = 3

// maxRecord limits one record of any JSON feed. The largest published ones, of
// kernels, have a few MiB.
const maxRecord = 16 << 20

// Format returns the format "osv": records of the OSV schema
// (https://ossf.github.io/osv-schema/) in a zip, as osv.dev serves an
// ecosystem's all.zip, in a tar, in a directory, or as plain JSON.
func Format() feed.Format {
	return feed.Format{
		Name: "osv", Kind: clair.KindVulnerability,
		Options: []feed.Option{feed.StringsOption("ecosystems")},
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			ecosystems := f.Strings("ecosystems")
			return &feed.File{Feed: f, Client: c, Version: osvVersion, Read: func(ctx context.Context, file *fetch.File) feed.Rows {
				return func(yield func(*clair.Vulnerability, error) bool) {
					p := &parser{only: ecosystems, yield: yield, places: map[string]*osvPlace{}}
					if err := p.parse(ctx, file); err != nil && !errors.Is(err, feed.ErrStopped) {
						yield(nil, err)
					}
				}
			}}, nil
		},
	}
}

// osvParser reads one feed.
type parser struct {
	only   []string // ecosystems to keep, all if empty
	yield  func(*clair.Vulnerability, error) bool
	found  int // records so far, usable or not
	buf    []byte
	places map[string]*osvPlace
	cover  coverage
}

func (p *parser) parse(ctx context.Context, f *fetch.File) error {
	var err error
	if dir := f.Dir(); dir != nil {
		err = p.directory(ctx, dir)
	} else {
		err = p.file(ctx, f)
	}
	if err == nil && p.found == 0 {
		err = feed.ErrEmpty
	}
	return err
}

// file distinguishes a zip, a tar and JSON by their content.
func (p *parser) file(ctx context.Context, f *fetch.File) error {
	head := make([]byte, 4)
	if n, err := f.ReadAt(head, 0); n < len(head) && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head, []byte("PK")) {
		return p.zip(ctx, f)
	}
	z, err := fetch.Decompress(f)
	if err != nil {
		return err
	}
	defer z.Close()
	const tarMagicAt, tarBlock = 257, 512
	b := bufio.NewReaderSize(z, tarBlock)
	block, err := b.Peek(tarBlock)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(block) == tarBlock && bytes.HasPrefix(block[tarMagicAt:], []byte("ustar")) {
		return p.tar(ctx, b)
	}
	switch first := bytes.TrimLeft(block, " \t\r\n\ufeff"); {
	case len(first) == 0:
		return feed.ErrEmpty
	case first[0] == '{' || first[0] == '[':
		return p.json(ctx, b)
	}
	return fmt.Errorf("%w: neither a zip or tar of JSON files nor JSON", clair.ErrInvalid)
}

func isRecord(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasSuffix(base, ".json") && !strings.HasPrefix(base, ".")
}

func (p *parser) zip(ctx context.Context, f *fetch.File) error {
	z, err := fetch.OpenZip(f, f.Size())
	if err != nil {
		return err
	}
	for e, err := range z.Entries() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !isRecord(e.Name) {
			continue
		}
		p.buf, err = z.Read(e, p.buf, maxRecord)
		if err := p.take(e.Name, p.buf, err); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) tar(ctx context.Context, r io.Reader) error {
	t := feed.NewTarReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("read the tar: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !isRecord(h.Name) {
			continue
		}
		err = p.fill(t, maxRecord)
		if err != nil && !errors.Is(err, clair.ErrTooLarge) {
			return fmt.Errorf("read the tar: %w", err) // what follows is lost too
		}
		if err := p.take(h.Name, p.buf, err); err != nil {
			return err
		}
	}
}

// fill reads all of r into buf's memory.
func (p *parser) fill(r io.Reader, limit int64) error {
	b := bytes.NewBuffer(p.buf[:0])
	_, err := b.ReadFrom(fetch.Limit(r, limit))
	p.buf = b.Bytes()
	return err
}

func (p *parser) directory(ctx context.Context, dir fs.FS) error {
	return fetch.Files(dir, func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !isRecord(name) {
			return nil
		}
		f, err := dir.Open(name)
		if err == nil {
			err = p.fill(f, maxRecord)
			err = errors.Join(err, f.Close())
		}
		return p.take(name, p.buf, err)
	})
}

// json reads one record, several one after another, or arrays of them.
func (p *parser) json(ctx context.Context, r io.Reader) error {
	m := &meter{r: r}
	d := json.NewDecoder(m)
	for depth := 0; ; {
		m.left = maxRecord // the decoder keeps a whole value in memory
		if depth > 0 && !d.More() {
			if _, err := d.Token(); err != nil { // the array's end
				return fmt.Errorf("read JSON: %w", noEOF(err))
			}
			depth = 0
			continue
		}
		var raw json.RawMessage
		if depth == 0 {
			start, err := p.peek(d, m)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read JSON: %w", err)
			}
			if start == '[' {
				if _, err := d.Token(); err != nil {
					return fmt.Errorf("read JSON: %w", noEOF(err))
				}
				depth = 1
				continue
			}
		}
		if err := errors.Join(d.Decode(&raw), ctx.Err()); err != nil {
			return fmt.Errorf("read JSON: %w", noEOF(err))
		}
		if err := p.take(fmt.Sprint(p.found+1), raw, nil); err != nil {
			return err
		}
	}
}

// peek returns the first byte of the next value, which may already be in the
// decoder's buffer.
func (p *parser) peek(d *json.Decoder, m *meter) (byte, error) {
	for r := d.Buffered(); ; {
		var one [1]byte
		n, err := r.Read(one[:])
		switch {
		case n == 0 && errors.Is(err, io.EOF):
			return m.peek()
		case n == 0 && err != nil:
			return 0, err
		case n == 1 && !isSpace(one[0]):
			return one[0], nil
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// meter limits how much is read for one value.
type meter struct {
	r    io.Reader
	left int
	held []byte // peeked and not read yet
}

func (m *meter) Read(b []byte) (int, error) {
	if len(m.held) > 0 {
		n := copy(b, m.held)
		m.held = m.held[n:]
		return n, nil
	}
	if m.left <= 0 {
		return 0, fmt.Errorf("%w: a record of more than %d bytes", clair.ErrTooLarge, maxRecord)
	}
	n, err := m.r.Read(b[:min(len(b), m.left)])
	m.left -= n
	return n, err
}

// peek returns the next byte that is not a space, without consuming it.
func (m *meter) peek() (byte, error) {
	for {
		var one [1]byte
		if _, err := io.ReadFull(m.r, one[:]); err != nil {
			return 0, err
		}
		if !isSpace(one[0]) {
			m.held = append(m.held[:0], one[0])
			return one[0], nil
		}
	}
}

// take yields the rows of one record, or an error if it cannot be used.
func (p *parser) take(name string, b []byte, err error) error {
	p.found++
	if err == nil {
		err = p.record(b)
	}
	if err == nil || errors.Is(err, feed.ErrStopped) {
		return err
	}
	if !feed.IsSkip(err) {
		err = feed.Skip(name, err)
	}
	if !p.yield(nil, err) {
		return feed.ErrStopped
	}
	return nil
}
