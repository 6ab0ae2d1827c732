package mirror

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// LinesFormat returns the format "clair-jsonl": the file that clairctl's
// export-updaters writes. It has operations of several updaters, one record a
// line, and the lines of an operation are consecutive.
func LinesFormat() feed.Format {
	return feed.Format{
		Name: "clair-jsonl", Kind: clair.KindVulnerability,
		Options: []feed.Option{feed.StringsOption(updatersOption), feed.TextOption(prefixOption)},
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			return &linesSet{feed: f, client: c}, nil
		},
	}
}

// linesSet is such a file as a set of updaters.
type linesSet struct {
	clair.NoopUpdater
	feed   feed.Feed
	client *fetch.Client
	// from is read instead of the feed's address, if it is not nil.
	from io.Reader
}

// Name is the feed's name.
func (s *linesSet) Name() string { return s.feed.Name }

// line is a line of the file, without its records.
type line struct {
	Updater     string
	Fingerprint clair.Fingerprint
	Ref         uuid.UUID
	Kind        clair.Kind
	Vuln        json.RawMessage
	Enrichment  json.RawMessage
}

// lines are the lines of one operation: their place in the plain file.
type lines struct {
	ref      uuid.UUID
	updater  string
	kind     clair.Kind
	fp       clair.Fingerprint
	from, to int64
}

// maxPlain limits the size of the decompressed file.
const maxPlain = 16 << 30

// Updaters reads the file once before it yields anything, so that a truncated
// or damaged one has no effect. The plain bytes are stored in a temporary
// file.
func (s *linesSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return func(yield func(clair.Updater, error) bool) {
		plain, err := s.open(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		err = s.members(ctx, plain, func(u clair.Updater) bool { return yield(u, nil) })
		if err = errors.Join(err, plain.Close()); err != nil && !errors.Is(err, feed.ErrStopped) {
			yield(nil, err)
		}
	}
}

// open fetches the file and spools its plain bytes.
func (s *linesSet) open(ctx context.Context) (*fetch.File, error) {
	if s.from != nil {
		return spoolPlain(ctx, s.from)
	}
	f, _, err := s.client.Get(ctx, fetch.Request{URL: s.feed.URL, MaxSize: s.feed.Bytes(feed.MaxSizeOption)})
	if err != nil {
		return nil, err
	}
	plain, err := spoolPlain(ctx, f)
	if cerr := f.Close(); cerr != nil && err == nil {
		return nil, errors.Join(cerr, plain.Close())
	}
	return plain, err
}

// spoolPlain decompresses a stream to a temporary file.
func spoolPlain(ctx context.Context, from io.Reader) (*fetch.File, error) {
	r, err := fetch.Decompress(feed.WithContext(ctx, from))
	if err != nil {
		return nil, err
	}
	plain, err := fetch.Spool(r, "", maxPlain)
	if cerr := r.Close(); cerr != nil && err == nil {
		return nil, errors.Join(cerr, plain.Close())
	}
	return plain, err
}

func (s *linesSet) members(ctx context.Context, plain *fetch.File, yield func(clair.Updater) bool) error {
	all, err := groupLines(feed.WithContext(ctx, io.NewSectionReader(plain, 0, plain.Size())))
	if err != nil {
		return err
	}
	wanted := wantedOf(s.feed)
	for i, g := range all {
		if !wanted.take(g.updater) {
			continue
		}
		m := linesUpdater{name: s.feed.Text(prefixOption) + g.updater, lines: g, plain: plain, known: map[clair.Fingerprint]bool{}}
		for _, later := range all[i:] {
			if later.updater == g.updater && later.kind == g.kind {
				m.known[later.fp] = true
			}
		}
		var u clair.Updater = &linesVulnerabilities{m}
		if g.kind == clair.KindEnrichment {
			u = &linesEnrichments{linesUpdater: m}
		}
		if !yield(u) {
			return feed.ErrStopped
		}
	}
	return wanted.missing()
}

// maxGroups limits the operations of one file.
const maxGroups = 10_000

// groupLines reads a file and finds its operations.
func groupLines(r io.Reader) ([]lines, error) {
	record := newRecordReader(bufio.NewReader(r))
	dec := json.NewDecoder(record)
	var all []lines
	for n := 1; ; n++ {
		from := dec.InputOffset()
		var l line
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		record.more()
		last := len(all) - 1
		if last < 0 || all[last].ref != l.Ref {
			if len(all) == maxGroups {
				return nil, fmt.Errorf("line %d: %w: more than %d operations", n, clair.ErrTooLarge, maxGroups)
			}
			all = append(all, lines{ref: l.Ref, updater: l.Updater, kind: l.Kind, fp: l.Fingerprint, from: from})
			last++
		}
		if all[last].updater != l.Updater || all[last].kind != l.Kind {
			return nil, fmt.Errorf("line %d: %w", n, feed.Malformed("operation %s is of two updaters", l.Ref))
		}
		all[last].to = dec.InputOffset()
	}
	if len(all) == 0 {
		return nil, feed.ErrEmpty
	}
	return all, nil
}

// check checks that a line belongs to an operation. An empty fingerprint
// recognizes nothing, so the operation's reference is used instead.
func (l *line) check() error {
	if l.Kind == "" {
		l.Kind = clair.KindVulnerability
		if len(l.Vuln) == 0 {
			l.Kind = clair.KindEnrichment
		}
	}
	switch {
	case l.Ref == uuid.Nil:
		return feed.Malformed("it has no Ref")
	case !feed.ValidName(l.Updater):
		return feed.Malformed("%.80q is not the name of an updater", l.Updater)
	case l.Kind != clair.KindVulnerability && l.Kind != clair.KindEnrichment:
		return feed.Malformed("%.40q is not a kind of operation", l.Kind)
	}
	if l.Fingerprint == "" {
		l.Fingerprint = clair.Fingerprint("ref:" + l.Ref.String())
	}
	return nil
}

// linesUpdater is one operation of the file.
type linesUpdater struct {
	name  string
	lines lines
	plain *fetch.File
	// known are the fingerprints of this state and of later ones in the file:
	// an updater with one of them does not need this one.
	known map[clair.Fingerprint]bool
}

// Name is the updater's name here.
func (u *linesUpdater) Name() string { return u.name }

// Known reports whether a fingerprint belongs to this state or to a later one.
func (u *linesUpdater) Known(fp clair.Fingerprint) bool { return u.known[fp] }

func (u *linesUpdater) open(last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	if u.known[last] {
		return nil, "", clair.ErrUnchanged
	}
	return io.NopCloser(bufio.NewReader(io.NewSectionReader(u.plain, u.lines.from, u.lines.to-u.lines.from))), u.lines.fp, nil
}

// linesVulnerabilities is an operation of vulnerabilities.
type linesVulnerabilities struct{ linesUpdater }

// Fetch opens the operation's part of the file.
func (u *linesVulnerabilities) Fetch(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return u.open(last)
}

// Parse reads the operation's lines.
func (u *linesVulnerabilities) Parse(ctx context.Context, r io.ReadCloser) feed.Rows {
	return readLines(feed.WithContext(ctx, r), func(l struct{ Vuln *remoteVulnerability }) (*clair.Vulnerability, error) {
		if l.Vuln == nil {
			return nil, feed.Skip("", feed.Malformed("a line without a vulnerability"))
		}
		return l.Vuln.row()
	})
}

// clairEnrichers maps the names that the operations of Clair's enrichers
// always have to the formats of their feeds.
var clairEnrichers = map[string]string{"clair.cvss": "nvd", "clair.epss": "epss", "clair.kev": "kev"}

// linesEnrichments is an operation of enrichments.
type linesEnrichments struct {
	clair.NoopUpdater
	linesUpdater
}

// State returns the format of the records, so that they are read as such.
func (u *linesEnrichments) State() clair.FeedState {
	return clair.FeedState{
		UpdateOperation: clair.UpdateOperation{Updater: u.name, Kind: clair.KindEnrichment, Fingerprint: u.lines.fp},
		Format:          clairEnrichers[u.lines.updater],
	}
}

// FetchEnrichment opens the operation's part of the file.
func (u *linesEnrichments) FetchEnrichment(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return u.open(last)
}

// ParseEnrichment reads the operation's lines.
func (u *linesEnrichments) ParseEnrichment(ctx context.Context, r io.ReadCloser) iter.Seq2[clair.EnrichmentRecord, error] {
	return readLines(feed.WithContext(ctx, r), func(l struct{ Enrichment *clair.EnrichmentRecord }) (clair.EnrichmentRecord, error) {
		if l.Enrichment == nil || len(l.Enrichment.Enrichment) == 0 {
			return clair.EnrichmentRecord{}, feed.Skip("", feed.Malformed("a line without an enrichment"))
		}
		return *l.Enrichment, nil
	})
}

// readLines reads the record in each line of one operation.
func readLines[L, T any](r io.Reader, of func(L) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		record := newRecordReader(r)
		dec := json.NewDecoder(record)
		for n := 1; ; n++ {
			var l L
			var v T
			err := dec.Decode(&l)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err == nil:
				v, err = of(l)
			case record.misshapen(err):
				err = feed.Skip(fmt.Sprint("line ", n), err)
			}
			if !yield(v, err) || err != nil && !feed.IsSkip(err) {
				return
			}
			record.more()
		}
	}
}

// NewLines returns the set of a file that belongs to no configured feed.
func NewLines(name string, r io.Reader) feed.Set {
	return &linesSet{feed: feed.Feed{Name: name}, from: r}
}
