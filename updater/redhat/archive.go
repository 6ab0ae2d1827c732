package redhat

import (
	"archive/tar"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// vexManifest is the name of the entry that begins a stream that Oriel has
// combined, and maxManifest its size limit.
const (
	vexManifest = "oriel/delta.json"
	maxManifest = 16 << 20
)

// vexDelta describes a stream of documents: all of them, or only those that
// changed.
type vexDelta struct {
	// Whole means that the stream has every document.
	Whole bool `json:"whole"`
	// Fresh are the names of documents at the start of a whole stream that
	// replace older ones later in it.
	Fresh []string `json:"fresh,omitempty"`
	// Deleted are the names of deleted documents.
	Deleted []string `json:"deleted,omitempty"`
	// Missing are the names of documents that are listed as changed but do not
	// exist.
	Missing []string `json:"missing,omitempty"`
}

// openVEX reads the manifest of a tar of VEX documents, and returns a reader
// of the documents. A plain archive, as Red Hat publishes it, is a whole one.
func openVEX(r io.Reader) (vexDelta, *vexArchive, error) {
	t := feed.NewTarReader(r)
	first, err := t.Next()
	if err != nil {
		return vexDelta{}, nil, fmt.Errorf("VEX documents: %w", feed.UnexpectedEOF(err))
	}
	delta := vexDelta{Whole: true}
	if first.Name == vexManifest {
		if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&delta); err != nil {
			return vexDelta{}, nil, fmt.Errorf("VEX documents: their manifest: %w", feed.UnexpectedEOF(err))
		}
		first = nil
	}
	a := &vexArchive{tar: t, first: first, delta: delta, done: map[string]bool{}, replaced: func(string) error { return nil }}
	return delta, a, nil
}

// ParseArchive reads a stream of documents, and ignores which ones it
// replaces.
func ParseArchive(r io.Reader) feed.Rows {
	_, all, err := openVEX(r)
	if err != nil {
		return feed.Emit(func(feed.Emitter) error { return err })
	}
	return all.rows()
}

// rows returns the rows of the documents. They can be read once.
func (a *vexArchive) rows() feed.Rows {
	return feed.Emit(func(e feed.Emitter) error {
		a.Emitter = e
		return a.read(a.first)
	})
}

// changes returns the replaced documents, and the rows of the new ones. A
// document that could not be read replaces nothing.
func (a *vexArchive) changes() feed.Changes {
	return func(yield func(clair.Change, error) bool) {
		more := true
		send := func(c clair.Change, err error) bool {
			more = more && yield(c, err)
			return more
		}
		a.replaced = func(name string) error {
			if !send(feed.ReplacedAdvisory(name), nil) {
				return feed.ErrStopped
			}
			return nil
		}
		for v, err := range a.rows() {
			if !send(clair.Change{Added: v}, err) {
				return
			}
		}
	}
}

type vexArchive struct {
	feed.Emitter
	tar   *feed.TarReader
	first *tar.Header // read already; nil where that was the manifest
	delta vexDelta
	// replaced is called for each document that was deleted or has been read,
	// before its rows.
	replaced func(name string) error
	// done are the names of finished documents.
	done  map[string]bool
	count int
}

func (a *vexArchive) read(next *tar.Header) error {
	for _, name := range a.delta.Deleted {
		a.done[name] = true
		if err := a.replaced(name); err != nil {
			return err
		}
	}
	for _, name := range a.delta.Missing {
		if err := a.Skip(name, fmt.Errorf("%w: it is listed as changed", clair.ErrNotFound)); err != nil {
			return err
		}
	}
	fresh := map[string]bool{}
	for _, name := range a.delta.Fresh {
		fresh[name] = true
	}
	for {
		if next != nil && next.Typeflag == tar.TypeReg && strings.HasSuffix(next.Name, ".json") {
			name := vexName(next.Name)
			if !a.done[name] {
				// The first document of a fresh name is the new one.
				a.done[name] = fresh[name]
				if err := a.document(name); err != nil {
					return err
				}
			}
		}
		var err error
		next, err = a.tar.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("VEX documents: %w", err)
		}
	}
	if a.count == 0 && a.delta.Whole {
		return feed.Malformed("no documents in it")
	}
	return nil
}

// document reads one document. A fault in it is an error of this document
// only, unless the archive could not be read.
func (a *vexArchive) document(name string) error {
	a.count++
	watch := &watchedReader{r: a.tar}
	doc, err := readVEX(watch)
	switch {
	case watch.err != nil:
		return fmt.Errorf("VEX document %s: %w", name, watch.err)
	case errors.Is(err, errDeletedVEX):
		return a.replaced(name)
	case err != nil:
		return a.Skip(name, err)
	case !strings.EqualFold(doc.Meta.Tracking.ID, name):
		// A delta replaces rows by the name of their document.
		return a.Skip(name, feed.Malformed("the document is of %.40q", doc.Meta.Tracking.ID))
	}
	if err := a.replaced(name); err != nil {
		return err
	}
	return doc.rows(a.Emitter)
}

// watchedReader records whether reading failed.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// vexName returns the advisory that a document is about, from its path:
// "2024/cve-2024-3094.json".
func vexName(file string) string {
	return strings.ToUpper(strings.TrimSuffix(path.Base(file), ".json"))
}

// vexChange is a line of changes.csv or deletions.csv.
type vexChange struct {
	// Path is the document's path below the feed's address.
	Path string
	At   time.Time
}

// readVEXChanges reads a list of documents with the times of their change. A
// line that cannot be parsed is an error, because its change would be missed
// forever.
func readVEXChanges(r io.Reader) iter.Seq2[vexChange, error] {
	return func(yield func(vexChange, error) bool) {
		lines := csv.NewReader(r)
		lines.FieldsPerRecord = 2
		lines.ReuseRecord = true
		for {
			line, err := lines.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var c vexChange
			if err == nil {
				c, err = readVEXChange(line[0], line[1])
			}
			if err != nil {
				yield(vexChange{}, fmt.Errorf("list of changes: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func readVEXChange(file, at string) (vexChange, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(at))
	if err != nil {
		return vexChange{}, feed.Malformed("%.40q is not a time", at)
	}
	// The path becomes part of an address, and must stay below it.
	if file != path.Clean(file) || strings.HasPrefix(file, "/") || strings.HasPrefix(file, "..") ||
		!strings.HasSuffix(file, ".json") || strings.ContainsAny(file, `\:?#%`) {
		return vexChange{}, feed.Malformed("%.80q is no document", file)
	}
	return vexChange{Path: strings.Clone(file), At: t.UTC()}, nil
}

// addFile writes a file of a known size to an archive.
func addFile(t *tar.Writer, name string, r io.Reader, size int64) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	err := t.WriteHeader(h)
	if err == nil {
		_, err = io.Copy(t, r)
	}
	if err == nil {
		// A body that is shorter than its size is an error here.
		err = t.Flush()
	}
	if err != nil {
		return fmt.Errorf("spool %s: %w", name, err)
	}
	return nil
}

// manifestOf returns the entry that begins a stream. More entries follow it.
func manifestOf(d vexDelta) ([]byte, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("manifest of the changes: %w", err)
	}
	var b bytes.Buffer
	if err := addFile(tar.NewWriter(&b), vexManifest, bytes.NewReader(body), int64(len(body))); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
