package bundle

import (
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
	"strconv"

	"github.com/klauspost/compress/zstd"

	"oriel/clair"
)

// Source provides the contents of a bundle.
type Source interface {
	// States lists the states that Contents will yield, in its order.
	States() []clair.FeedState
	// Contents streams each state with its rows. Rows of the same advisory are
	// adjacent.
	Contents(context.Context) iter.Seq2[*clair.FeedContent, error]
}

// Options are further parameters of Write.
type Options struct {
	// Key signs the bundle. If it is nil, the bundle is not signed.
	Key ed25519.PrivateKey
	// By names the program that makes the bundle.
	By string
}

// Written is the result of Write.
type Written struct {
	// Feeds are the states in the bundle, and Rows is the number of all their
	// rows.
	Feeds []clair.FeedState
	Rows  int64
	// Bytes is the length of the bundle.
	Bytes int64
}

// Write streams a bundle. The same content and options make the same bytes. If
// it fails, the written bytes are not a valid bundle.
func Write(ctx context.Context, w io.Writer, src Source, o Options) (Written, error) {
	out := Written{Feeds: src.States()}
	sum := &summed{w: w, h: sha256.New()}
	z, err := zstd.NewWriter(sum, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return out, fmt.Errorf("write a bundle: %w", err)
	}
	bw := &writer{z: z, feed: sha256.New()}
	bw.enc = json.NewEncoder(&bw.buf)
	bw.enc.SetEscapeHTML(false)
	out.Rows, err = bw.write(ctx, src, head{
		Version: version,
		AsOf:    asOf(out.Feeds),
		By:      o.By,
		Feeds:   out.Feeds,
	})
	if err = errors.Join(err, z.Close()); err == nil {
		err = sum.trailer(o.Key)
	}
	out.Bytes = sum.n
	if err != nil {
		return out, fmt.Errorf("write a bundle: %w", err)
	}
	return out, nil
}

// writer writes the lines.
type writer struct {
	z    *zstd.Encoder
	enc  *json.Encoder
	buf  bytes.Buffer // the line at hand
	feed hash.Hash    // over the lines of the feed at hand
	end  end          // of the feed at hand

	advisory *advisory // the one at hand, nil for none
	rowBytes int       // of its rows
	dists    map[clair.Distribution]string
	repos    map[clair.Repository]string
	placed   int // bytes of their lines
}

func (w *writer) write(ctx context.Context, src Source, h head) (int64, error) {
	if len(h.Feeds) > maxFeeds {
		return 0, fmt.Errorf("%w: more than %d feeds", clair.ErrTooLarge, maxFeeds)
	}
	if h.Feeds == nil {
		h.Feeds = []clair.FeedState{}
	}
	if err := w.line(h); err != nil {
		return 0, err
	}
	if w.buf.Len() > maxHead {
		return 0, fmt.Errorf("%w: a head of more than %d bytes", clair.ErrTooLarge, maxHead)
	}
	rows, i := int64(0), 0
	for c, err := range src.Contents(ctx) {
		if err != nil {
			return rows, err
		}
		if i >= len(h.Feeds) || c.FeedState != h.Feeds[i] {
			return rows, fmt.Errorf("feed %s: its state is not the one announced", c.Updater)
		}
		if err := w.content(ctx, c); err != nil {
			return rows, fmt.Errorf("feed %s: %w", c.Updater, err)
		}
		rows += w.end.Rows
		i++
	}
	if i < len(h.Feeds) {
		return rows, fmt.Errorf("feed %s: its state is announced but missing", h.Feeds[i].Updater)
	}
	return rows, ctx.Err()
}

// line writes one line.
func (w *writer) line(v any) error {
	w.buf.Reset()
	if err := w.enc.Encode(v); err != nil {
		return err
	}
	if w.buf.Len() > maxLine {
		return fmt.Errorf("%w: a line of more than %d bytes", clair.ErrTooLarge, maxLine)
	}
	w.feed.Write(w.buf.Bytes())
	_, err := w.z.Write(w.buf.Bytes())
	return err
}

func (w *writer) content(ctx context.Context, c *clair.FeedContent) error {
	w.end = end{Updater: c.Updater, Kind: c.Kind}
	w.feed.Reset()
	w.dists, w.repos, w.placed = map[clair.Distribution]string{}, map[clair.Repository]string{}, 0
	var err error
	switch c.Kind {
	case clair.KindVulnerability:
		err = w.vulnerabilities(ctx, c.Vulnerabilities)
	case clair.KindEnrichment:
		err = w.enrichments(ctx, c.Enrichments)
	default:
		err = invalid("%.40q is not a kind of operation", c.Kind)
	}
	if err != nil {
		return err
	}
	w.end.SHA256 = hex.EncodeToString(w.feed.Sum(nil))
	return w.line(line{End: &w.end})
}

func (w *writer) vulnerabilities(ctx context.Context, rows iter.Seq2[*clair.Vulnerability, error]) error {
	for v, err := range rows {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if v.Package == nil {
			return invalid("advisory %.80q: a row without a package", v.Name)
		}
		r := row{
			Package: v.Package.Name,
			Version: v.Package.Version,
			Kind:    v.Package.Kind,
			Module:  v.Package.Module,
			Arch:    v.Package.Arch,
			Fixed:   v.FixedInVersion,
			ArchOp:  v.ArchOperation,
			Range:   v.Range,
		}
		if r.Distribution, err = w.distribution(v.Dist); err != nil {
			return err
		}
		if r.Repository, err = w.repository(v.Repo); err != nil {
			return err
		}
		if w.advisory != nil && (len(w.advisory.Rows) == maxRows || w.rowBytes > maxRowBytes || !w.advisory.of(v)) {
			if err := w.flush(); err != nil {
				return err
			}
		}
		if w.advisory == nil {
			w.advisory, w.rowBytes = share(v), 0
		}
		w.rowBytes += len(r.Fixed)
		w.advisory.Rows = append(w.advisory.Rows, r)
		w.end.Rows++
	}
	return w.flush()
}

// of reports whether a row belongs to the advisory.
func (a *advisory) of(v *clair.Vulnerability) bool {
	return a.Name == v.Name && a.Description == v.Description && a.Links == v.Links && a.Severity == v.Severity &&
		a.Normalized == v.NormalizedSeverity && slices.Equal(a.Aliases, v.Aliases) &&
		(a.Issued == nil) == v.Issued.IsZero() && (a.Issued == nil || *a.Issued == v.Issued.Unix())
}

// flush writes the current advisory.
func (w *writer) flush() error {
	if w.advisory == nil {
		return nil
	}
	w.end.Records++
	err := w.line(line{Advisory: w.advisory})
	w.advisory = nil
	return err
}

// distribution returns the id of a distribution, and writes the distribution
// first if it is new.
func (w *writer) distribution(d *clair.Distribution) (string, error) {
	if d == nil {
		return "", nil
	}
	key := *d
	key.ID = ""
	if id, ok := w.dists[key]; ok {
		return id, nil
	}
	id := strconv.Itoa(len(w.dists) + 1)
	w.dists[key] = id
	key.ID = id
	return id, w.place(line{Distribution: &key})
}

// repository does for repositories what distribution does for distributions.
func (w *writer) repository(r *clair.Repository) (string, error) {
	if r == nil {
		return "", nil
	}
	key := *r
	key.ID = ""
	if id, ok := w.repos[key]; ok {
		return id, nil
	}
	id := strconv.Itoa(len(w.repos) + 1)
	w.repos[key] = id
	key.ID = id
	return id, w.place(line{Repository: &key})
}

// place writes a distribution or repository. Their number is limited, because
// readers keep them in memory.
func (w *writer) place(l line) error {
	if err := w.line(l); err != nil {
		return err
	}
	if w.placed += w.buf.Len(); w.placed > maxPlaces {
		return errPlaces
	}
	return nil
}

func (w *writer) enrichments(ctx context.Context, records iter.Seq2[clair.EnrichmentRecord, error]) error {
	for r, err := range records {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := w.line(line{Enrichment: &enrichment{Tags: r.Tags, Data: string(r.Enrichment)}}); err != nil {
			return err
		}
		w.end.Records++
		w.end.Rows++
	}
	return nil
}

// summed counts the bytes that are written and computes their checksum.
type summed struct {
	w io.Writer
	h hash.Hash
	n int64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

// The trailer: a skippable frame's magic number and length (RFC 8878, section
// 3.1.2), the signature and the sum.
const (
	trailerMagic = 0x184D2A5F
	trailerHead  = 8
	trailerSize  = trailerHead + ed25519.SignatureSize + sha256.Size
)

// signedText returns the text that is signed for a frame with the checksum.
func signedText(sum []byte) []byte {
	return append(fmt.Appendf(nil, "oriel bundle %d\n", version), sum...)
}

// trailer writes the skippable frame.
func (s *summed) trailer(key ed25519.PrivateKey) error {
	t := binary.LittleEndian.AppendUint32(nil, trailerMagic)
	t = binary.LittleEndian.AppendUint32(t, trailerSize-trailerHead)
	signature := make([]byte, ed25519.SignatureSize)
	if key != nil {
		signature = ed25519.Sign(key, signedText(s.h.Sum(nil)))
	}
	if _, err := s.Write(append(t, signature...)); err != nil {
		return err
	}
	_, err := s.Write(s.h.Sum(nil))
	return err
}
