package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/zstd"

	"oriel/clair"
)

// Bundle is a complete, verified bundle. It is a Source. It reads from the
// file that it was opened with, which must stay open and unchanged.
type Bundle struct {
	frame io.ReaderAt
	size  int64 // of the frame
	head  head
	// signed reports whether it has a signature, whether or not that was
	// checked.
	signed bool
}

// Is reports whether a stream that begins with these bytes is a bundle of any
// version, possibly a damaged one. plain is the beginning of the zstd frame's
// contents.
func Is(plain []byte) bool { return bytes.HasPrefix(plain, []byte(`{"oriel_bundle":`)) }

// Open reads a bundle of size bytes once and verifies its checksums. If there
// are keys, one of them must have signed it. The error is an ErrInvalid if the
// bundle is damaged, truncated, not signed by one of the keys, made by a newer
// Oriel, or not a bundle.
func Open(ctx context.Context, r io.ReaderAt, size int64, keys ...ed25519.PublicKey) (*Bundle, error) {
	b := &Bundle{frame: r, size: size - trailerSize}
	if err := b.open(ctx, keys); err != nil {
		return nil, fmt.Errorf("open the bundle: %w", err)
	}
	return b, nil
}

// By returns the program that made the bundle.
func (b *Bundle) By() string { return b.head.By }

// Signed reports whether the bundle has a signature. If Open had no keys,
// anyone may have signed it.
func (b *Bundle) Signed() bool { return b.signed }

// States lists the states in the bundle, in their order.
func (b *Bundle) States() []clair.FeedState { return slices.Clone(b.head.Feeds) }

func (b *Bundle) open(ctx context.Context, keys []ed25519.PublicKey) error {
	if err := b.readHead(ctx); err != nil {
		return err
	}
	if err := b.checkTrailer(ctx, keys); err != nil {
		return err
	}
	for _, err := range b.Contents(ctx) { // passing each by sums its lines
		if err != nil {
			return err
		}
	}
	return nil
}

// readHead reads only the first line, so that a bundle of another version is
// reported as such.
func (b *Bundle) readHead(ctx context.Context) error {
	if b.size <= 0 {
		return invalid("not a bundle, or damaged or truncated: %d bytes", b.size+trailerSize)
	}
	lines, err := b.lines(ctx)
	if err != nil {
		return err
	}
	defer lines.close()
	text, err := lines.next(maxHead)
	if lines.src.err != nil {
		return lines.src.err
	}
	if err != nil {
		return invalid("not a bundle, or damaged or truncated: %v", err)
	}
	if !Is(text) {
		return invalid("not a bundle")
	}
	var v struct {
		Version int `json:"oriel_bundle"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return invalid("its head: %v", err)
	}
	switch {
	case v.Version > version:
		return invalid("version %d, made by a newer Oriel; this one reads version %d", v.Version, version)
	case v.Version != version:
		return invalid("%d is no version of bundles", v.Version)
	}
	if err := json.Unmarshal(text, &b.head); err != nil {
		return invalid("its head: %v", err)
	}
	return b.head.check()
}

func (h *head) check() error {
	if len(h.Feeds) > maxFeeds {
		return invalid("more than %d feeds", maxFeeds)
	}
	seen := map[string]bool{}
	for _, f := range h.Feeds {
		key := string(f.Kind) + " " + f.Updater
		switch {
		case f.Updater == "" || seen[key]:
			return invalid("feed %.80q has no name or is there twice", f.Updater)
		case f.Kind != clair.KindVulnerability && f.Kind != clair.KindEnrichment:
			return invalid("feed %.80q: %.40q is not a kind of operation", f.Updater, f.Kind)
		}
		seen[key] = true
	}
	return nil
}

// checkTrailer compares the bytes of the bundle with their checksum, and the
// signature with the keys.
func (b *Bundle) checkTrailer(ctx context.Context, keys []ed25519.PublicKey) error {
	h := sha256.New()
	if _, err := io.Copy(h, &contextReader{done: ctx.Err, r: io.NewSectionReader(b.frame, 0, b.size)}); err != nil {
		return err
	}
	frame := h.Sum(nil)
	var t [trailerSize]byte
	if n, err := b.frame.ReadAt(t[:], b.size); n < len(t) {
		return err
	}
	signature, sum := t[trailerHead:trailerHead+ed25519.SignatureSize], t[trailerSize-sha256.Size:]
	h.Write(t[:trailerSize-sha256.Size])
	if binary.LittleEndian.Uint32(t[:]) != trailerMagic || !bytes.Equal(h.Sum(nil), sum) {
		return invalid("damaged or truncated: the checksum at its end does not match")
	}
	b.signed = !bytes.Equal(signature, make([]byte, len(signature)))
	if len(keys) == 0 {
		return nil
	}
	if !b.signed {
		return invalid("not signed, but a signature is required")
	}
	text := signedText(frame)
	if !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, text, signature) }) {
		return invalid("its signature is not by a key that is trusted here")
	}
	return nil
}

// Contents streams each state with its rows. A state that is not ranged over
// is skipped. If the bundle is no longer what Open has seen, the rows of a
// state end with an error.
func (b *Bundle) Contents(ctx context.Context) iter.Seq2[*clair.FeedContent, error] {
	return func(yield func(*clair.FeedContent, error) bool) {
		lines, err := b.lines(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer lines.close()
		if _, err := lines.next(maxHead); err != nil { // the head
			yield(nil, err)
			return
		}
		for _, f := range b.head.Feeds {
			s := &section{
				lines:  lines,
				state:  f,
				places: newPlaces(),
				sum:    sha256.New(),
			}
			c := &clair.FeedContent{FeedState: f}
			if f.Kind == clair.KindEnrichment {
				c.Enrichments = s.enrichments
			} else {
				c.Vulnerabilities = s.vulnerabilities
			}
			if !yield(c, nil) {
				return
			}
			if err := s.skip(); err != nil {
				yield(nil, err)
				return
			}
		}
		if _, err := lines.next(maxLine); !errors.Is(err, io.EOF) {
			yield(nil, invalid("something follows its last feed"))
		}
	}
}

// section is the part of a bundle that belongs to one feed, as it is read.
type section struct {
	lines         *lines
	state         clair.FeedState
	places        places
	sum           hash.Hash
	records, rows int64
	unread        bool // some records were passed by
	ended         bool
	err           error // why it cannot be read on
}

// next returns the next line, or nil at the end of the section, after
// comparing its contents with the counts and the checksum of the end.
func (s *section) next() ([]byte, error) {
	if s.ended {
		return nil, s.err
	}
	text, err := s.lines.next(maxLine)
	switch {
	case errors.Is(err, io.EOF):
		return nil, s.fail(invalid("it has no end"))
	case err != nil:
		return nil, s.fail(err)
	case bytes.HasPrefix(text, []byte(endPrefix)):
		return nil, s.finish(text)
	}
	s.sum.Write(text)
	if bytes.HasPrefix(text, []byte(advisoryPrefix)) || bytes.HasPrefix(text, []byte(enrichmentPrefix)) {
		s.records++
	}
	return text, nil
}

// fail records the section's error, with the feed's name.
func (s *section) fail(err error) error {
	s.ended, s.err = true, fmt.Errorf("feed %s: %w", s.state.Updater, err)
	return s.err
}

// finish reads the end.
func (s *section) finish(text []byte) error {
	s.ended = true
	var l line
	if err := json.Unmarshal(text, &l); err != nil || l.End == nil {
		return s.fail(invalid("its end cannot be read"))
	}
	if s.unread {
		s.rows = l.End.Rows
	}
	want := end{
		Updater: s.state.Updater,
		Kind:    s.state.Kind,
		Records: s.records,
		Rows:    s.rows,
		SHA256:  hex.EncodeToString(s.sum.Sum(nil)),
	}
	if *l.End != want {
		return s.fail(invalid("its lines are not those that its end speaks of"))
	}
	return nil
}

// read calls take for each advisory and enrichment; take reports whether to go
// on.
func (s *section) read(take func(*line) (bool, error)) error {
	for {
		text, err := s.next()
		if err != nil || text == nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return s.fail(invalid("a line is not JSON of a bundle: %v", err))
		}
		if err := s.places.take(&l, len(text)); err != nil {
			return s.fail(err)
		}
		if l.Advisory == nil && l.Enrichment == nil {
			continue
		}
		if more, err := take(&l); err != nil {
			return s.fail(err)
		} else if !more {
			s.unread = true
			return nil
		}
	}
}

// skip reads the rest of the section.
func (s *section) skip() error {
	s.unread = s.unread || !s.ended
	for {
		text, err := s.next()
		if err != nil || text == nil {
			return err
		}
	}
}

func (s *section) vulnerabilities(yield func(*clair.Vulnerability, error) bool) {
	err := s.read(func(l *line) (bool, error) {
		if l.Advisory == nil {
			return false, invalid("an enrichment among vulnerabilities")
		}
		for i := range l.Advisory.Rows {
			v, err := s.places.vulnerability(s.state.Updater, l.Advisory, &l.Advisory.Rows[i])
			if err != nil {
				return false, err
			}
			s.rows++
			if !yield(v, nil) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		yield(nil, err)
	}
}

func (s *section) enrichments(yield func(clair.EnrichmentRecord, error) bool) {
	err := s.read(func(l *line) (bool, error) {
		if l.Enrichment == nil {
			return false, invalid("an advisory among enrichments")
		}
		r, err := l.Enrichment.record()
		if err != nil {
			return false, err
		}
		s.rows++
		return yield(r, nil), nil
	})
	if err != nil {
		yield(clair.EnrichmentRecord{}, err)
	}
}

// lines reads the lines of a bundle.
type lines struct {
	src *contextReader
	z   *zstd.Decoder
	r   *bufio.Reader
	buf []byte
}

func (b *Bundle) lines(ctx context.Context) (*lines, error) {
	src := &contextReader{done: ctx.Err, r: io.NewSectionReader(b.frame, 0, b.size)}
	z, err := zstd.NewReader(src,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, err
	}
	return &lines{
		src: src,
		z:   z,
		r:   bufio.NewReaderSize(z, 64<<10),
	}, nil
}

// next returns the next line with its line end; it is valid until the
// following call. A line that is longer than the limit is an error, and so is
// a last line without a line end.
func (l *lines) next(limit int) ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if err == nil && len(l.buf) == 0 {
			return part, nil
		}
		if len(l.buf)+len(part) > limit {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", clair.ErrTooLarge, limit)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return l.buf, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			return nil, invalid("its last line has no end")
		case errors.Is(err, io.EOF):
			return nil, err
		case l.src.err != nil:
			return nil, l.src.err // which says nothing of the bundle
		default:
			return nil, invalid("decompress: %v", err)
		}
	}
}

func (l *lines) close() { l.z.Close() }

// contextReader is a reader that fails once a context is done. It keeps the
// context's Err function, not the context.
type contextReader struct {
	done func() error
	r    io.Reader
	err  error // but io.EOF
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		c.err = err
		return 0, err
	}
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
