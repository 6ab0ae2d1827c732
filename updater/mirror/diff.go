package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// maxRemoteRecord limits one record of another server's JSON, and the space
// between two of them.
const maxRemoteRecord = 32 << 20

// recordReader is a reader with an allowance for one record, which is renewed
// after each record.
type recordReader struct {
	r      io.Reader
	left   int64
	failed bool // reading did, other than at the end
}

func newRecordReader(r io.Reader) *recordReader { return &recordReader{r: r, left: maxRemoteRecord} }

func (l *recordReader) more() { l.left = maxRemoteRecord }

func (l *recordReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.failed = true
		return 0, fmt.Errorf("%w: a record of more than %d bytes", clair.ErrTooLarge, maxRemoteRecord)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.failed = l.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// misshapen reports whether a value that a decoder could not read is valid
// JSON of another shape, so that the next value can be read.
func (l *recordReader) misshapen(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	return !syntax && !l.failed && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// remoteVulnerability is a row in the spelling of other servers.
type remoteVulnerability struct {
	clair.Vulnerability
	NormalizedSeverity remoteSeverity `json:"normalized_severity"`
}

// remoteSeverity is a severity, possibly of an earlier version of Clair.
type remoteSeverity clair.Severity

// UnmarshalJSON accepts every word, and null.
func (s *remoteSeverity) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	var known clair.Severity
	if strings.EqualFold(*text, "Defcon1") {
		known = clair.Critical // the highest that Clair had until its version 4
	} else if known.UnmarshalText([]byte(*text)) != nil {
		known = clair.Unknown
	}
	*s = remoteSeverity(known)
	return nil
}

// row returns the row as it is stored: without the ids of the document, and
// without empty objects.
func (v *remoteVulnerability) row() (*clair.Vulnerability, error) {
	out := v.Vulnerability
	out.NormalizedSeverity = clair.Severity(v.NormalizedSeverity)
	out.ID, out.Updater = "", ""
	if out.Name == "" || out.Package == nil || out.Package.Name == "" {
		return nil, feed.Skip(out.Name, feed.Malformed("a row without an advisory or without a package"))
	}
	out.Package.ID, out.Package.Source = "", nil
	if d := out.Dist; d != nil {
		d.ID = ""
		if *d == (clair.Distribution{}) {
			out.Dist = nil
		}
	}
	if r := out.Repo; r != nil {
		r.ID = ""
		if *r == (clair.Repository{}) {
			out.Repo = nil
		}
	}
	return &out, nil
}

// sameRemote has all values by which rows are distinguished here.
type sameRemote struct {
	name, description, links, severity, fixed string
	op                                        clair.ArchOp
	issued                                    int64
	pkg                                       clair.Package
	dist                                      clair.Distribution
	repo                                      clair.Repository
	rng                                       clair.Range
}

func sameOf(v *clair.Vulnerability) sameRemote {
	s := sameRemote{
		name: v.Name, description: v.Description, links: v.Links, severity: v.Severity, fixed: v.FixedInVersion,
		op: v.ArchOperation, issued: v.Issued.Unix(),
		pkg: clair.Package{Name: v.Package.Name, Version: v.Package.Version, Kind: v.Package.Kind, Module: v.Package.Module, Arch: v.Package.Arch},
	}
	if v.Dist != nil {
		s.dist = *v.Dist
	}
	if v.Repo != nil {
		s.repo = *v.Repo
	}
	if v.Range != nil {
		s.rng = *v.Range
	}
	return s
}

// diffReader reads an update difference of Clair or Oriel as a stream.
type diffReader struct {
	dec    *json.Decoder
	record *recordReader
	// prev and cur are the operations compared, once they were read.
	prev, cur clair.UpdateOperation
	seen      map[string]bool // keys
	yield     func(clair.Change, error) bool
}

// readDiff yields the changes of an update difference, plain or compressed.
func readDiff(r io.Reader) feed.Changes {
	return func(yield func(clair.Change, error) bool) {
		if _, err := readWholeDiff(r, yield); err != nil && !errors.Is(err, feed.ErrStopped) {
			yield(clair.Change{}, err)
		}
	}
}

// readWholeDiff reads a difference to its end.
func readWholeDiff(r io.Reader, yield func(clair.Change, error) bool) (*diffReader, error) {
	plain, err := fetch.Decompress(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	record := newRecordReader(plain)
	d := &diffReader{dec: json.NewDecoder(record), record: record, yield: yield, seen: map[string]bool{}}
	if err := d.read(); err != nil {
		return nil, feed.UnexpectedEOF(err)
	}
	return d, nil
}

func (d *diffReader) read() error {
	if err := d.expect(json.Delim('{')); err != nil {
		return err
	}
	for d.dec.More() {
		key, err := d.dec.Token()
		if err != nil {
			return err
		}
		if err := d.value(fmt.Sprint(key)); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
		d.record.more()
	}
	if err := d.expect(json.Delim('}')); err != nil {
		return err
	}
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		return feed.Malformed("something follows the document: %v", err)
	}
	for _, key := range []string{"cur", "added", "removed"} {
		if !d.seen[key] {
			return feed.Malformed("it has no %q", key)
		}
	}
	return nil
}

func (d *diffReader) expect(want json.Delim) error {
	t, err := d.dec.Token()
	if err != nil {
		return err
	}
	if t != want {
		return feed.Malformed("%.40v where %v should be", t, want)
	}
	return nil
}

func (d *diffReader) value(key string) error {
	if d.seen[key] {
		return feed.Malformed("it comes twice")
	}
	switch d.seen[key] = true; key {
	case "prev":
		return d.dec.Decode(&d.prev)
	case "cur":
		return d.dec.Decode(&d.cur)
	case "added":
		return d.list(func(v *clair.Vulnerability) clair.Change { return clair.Change{Added: v} })
	case "removed":
		return d.list(func(v *clair.Vulnerability) clair.Change { return clair.Change{Removed: v} })
	}
	delete(d.seen, key) // an unknown key
	var ignored json.RawMessage
	return d.dec.Decode(&ignored)
}

// list reads a list of rows; null is an empty one.
func (d *diffReader) list(change func(*clair.Vulnerability) clair.Change) error {
	t, err := d.dec.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return feed.Malformed("%.40v where a list should be", t)
	}
	for d.dec.More() {
		var v remoteVulnerability
		err := d.dec.Decode(&v)
		if err != nil && !d.record.misshapen(err) {
			return err
		}
		c, row := clair.Change{}, (*clair.Vulnerability)(nil)
		if err != nil {
			err = feed.Skip(v.Name, err)
		} else if row, err = v.row(); err == nil {
			c = change(row)
		}
		if !d.yield(c, err) {
			return feed.ErrStopped
		}
		d.record.more()
	}
	return d.expect(json.Delim(']'))
}

// maxExact is the number of rows up to which duplicates are searched, at 8
// bytes each.
const maxExact = 2_000_000

// checkDiff reads a difference to its end, checks that it is the requested
// one, and reports whether no two of its rows look the same.
func checkDiff(ctx context.Context, f *fetch.File, prev, cur uuid.UUID) (exact bool, err error) {
	seed := maphash.MakeSeed()
	var hashes []uint64
	n := 0
	d, err := readWholeDiff(feed.WithContext(ctx, io.NewSectionReader(f, 0, f.Size())), func(c clair.Change, _ error) bool {
		if n++; c.Added != nil && n <= maxExact {
			hashes = append(hashes, maphash.Comparable(seed, sameOf(c.Added)))
		}
		return true
	})
	if err != nil {
		return false, err
	}
	if d.cur.Ref != cur || d.prev.Ref != prev {
		return false, feed.Malformed("it compares %s and %s", d.prev.Ref, d.cur.Ref)
	}
	slices.Sort(hashes)
	return n <= maxExact && len(slices.Compact(hashes)) == len(hashes), nil
}
