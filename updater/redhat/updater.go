package redhat

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// vexVersion is the version of the parser of VEX documents.
const vexVersion = 1

// Format returns the format "redhat-vex": Red Hat's directory of CSAF VEX
// documents, with archive_latest.txt, changes.csv and deletions.csv, or one
// archive of such documents.
func Format() feed.Format {
	return feed.Format{
		Name: "redhat-vex", Kind: clair.KindVulnerability,
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			w := &feed.File{Feed: f, Client: c, Version: vexVersion, Read: feed.Stream(func(ctx context.Context, r io.Reader) feed.Rows {
				return ParseArchive(feed.WithContext(ctx, r))
			})}
			if !strings.HasSuffix(f.URL, "/") {
				return w, nil
			}
			return &vexUpdater{whole: w}, nil
		},
	}
}

// vexUpdater fetches from a directory of documents.
type vexUpdater struct{ whole *feed.File }

// Name is the feed's name.
func (u *vexUpdater) Name() string { return u.whole.Name() }

// Revision returns a hash of everything that decides which rows the documents
// become.
func (u *vexUpdater) Revision() string { return u.whole.Revision() }

// vexMark is the content of a fingerprint: how far the lists have been
// processed.
type vexMark struct {
	Changed time.Time         `json:"changed"`
	Deleted time.Time         `json:"deleted"`
	Changes clair.Fingerprint `json:"changes"`
	Deletes clair.Fingerprint `json:"deletes"`
}

// The limits of fetching documents one by one: if there are more changes than
// a delta may have, an archive is fetched; an archive that is older than so
// many changes is not usable.
const (
	maxDelta = 2_000
	maxFresh = 20_000
)

// Fetch fetches the archive, and each document that changed since it was made.
func (u *vexUpdater) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	archive, made, err := u.archive(ctx)
	if err != nil {
		return nil, "", err
	}
	mark := readMark(last)
	news, err := u.news(ctx, vexMark{Changed: made, Deleted: made, Changes: mark.Changes, Deletes: mark.Deletes}, maxFresh)
	if err == nil && news.partial {
		// An archive needs all changes since its day, but one of the lists was
		// not read.
		news, err = u.news(ctx, vexMark{Changed: made, Deleted: made}, maxFresh)
	}
	if err != nil {
		return nil, "", err
	}
	body, _, err := u.whole.Client.Get(ctx, fetch.Request{URL: u.whole.Feed.URL + archive, MaxSize: u.whole.Feed.Bytes(feed.MaxSizeOption)})
	if err != nil {
		return nil, "", err
	}
	s := &vexStream{closers: []io.Closer{body}}
	if err := s.fill(ctx, u, news, body); err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return s, news.mark.fingerprint(), nil
}

// FetchDelta fetches the documents that changed since the fingerprint, or
// everything if there is no fingerprint or too much has changed.
func (u *vexUpdater) FetchDelta(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	mark := readMark(last)
	if mark.Changed.IsZero() {
		return u.Fetch(ctx, last)
	}
	news, err := u.news(ctx, mark, maxDelta)
	if errors.Is(err, clair.ErrTooLarge) {
		return u.Fetch(ctx, "")
	}
	if err != nil {
		return nil, "", err
	}
	s := &vexStream{}
	if err := s.fill(ctx, u, news, nil); err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return s, news.mark.fingerprint(), nil
}

// Parse reads documents, and ignores which ones they replace.
func (u *vexUpdater) Parse(ctx context.Context, r io.ReadCloser) feed.Rows {
	return ParseArchive(feed.WithContext(ctx, r))
}

// ParseDelta reads documents and which ones they replace.
func (u *vexUpdater) ParseDelta(ctx context.Context, r io.ReadCloser) (feed.Delta, error) {
	d, all, err := openVEX(feed.WithContext(ctx, r))
	if err != nil {
		return feed.Delta{}, err
	}
	if d.Whole {
		return feed.Delta{Whole: true, Rows: all.rows()}, nil
	}
	return feed.Delta{Changes: all.changes()}, nil
}

func readMark(fp clair.Fingerprint) vexMark {
	var m vexMark
	if err := json.Unmarshal([]byte(fp), &m); err != nil {
		return vexMark{} // another's fingerprint: everything is new
	}
	return m
}

func (m vexMark) fingerprint() clair.Fingerprint {
	b, err := json.Marshal(m)
	if err != nil {
		return "" // times and strings, which marshal
	}
	return clair.Fingerprint(b)
}

// archiveName matches the name of an archive, with its day.
var archiveName = regexp.MustCompile(`^[A-Za-z0-9_-]*(\d{4}-\d{2}-\d{2})\.tar(\.[a-z0-9]+)?$`)

// archive finds the newest archive and the day it was made.
func (u *vexUpdater) archive(ctx context.Context) (name string, made time.Time, err error) {
	f, _, err := u.whole.Client.Get(ctx, fetch.Request{URL: u.whole.Feed.URL + "archive_latest.txt", MaxSize: 4096})
	if err != nil {
		return "", time.Time{}, err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", time.Time{}, fmt.Errorf("archive_latest.txt: %w", err)
	}
	m := archiveName.FindStringSubmatch(strings.TrimSpace(string(text)))
	if m == nil {
		return "", time.Time{}, feed.Malformed("archive_latest.txt names no archive: %.80q", text)
	}
	made, err = time.Parse(time.DateOnly, m[1])
	return m[0], made, err
}

// vexNews are the changes since a mark.
type vexNews struct {
	mark vexMark
	// changed are the paths of documents by name.
	changed map[string]vexChange
	deleted map[string]vexChange
	// partial means that one of the lists was unchanged and not read.
	partial bool
}

// news reads the lists of changes. The error is ErrUnchanged if both are still
// those of the mark, and ErrTooLarge if there are more than limit changes.
func (u *vexUpdater) news(ctx context.Context, mark vexMark, limit int) (vexNews, error) {
	n := vexNews{mark: mark, changed: map[string]vexChange{}, deleted: map[string]vexChange{}}
	var same [2]bool
	var err error
	if n.mark.Changes, same[0], err = u.list(ctx, "changes.csv", mark.Changes, n.take(n.changed, mark.Changed, &n.mark.Changed, limit)); err != nil {
		return vexNews{}, err
	}
	n.mark.Deletes, same[1], err = u.list(ctx, "deletions.csv", mark.Deletes, n.take(n.deleted, mark.Deleted, &n.mark.Deleted, limit))
	if err != nil && !errors.Is(err, clair.ErrNotFound) {
		return vexNews{}, err
	}
	// A mirror that has never deleted anything may not have a list of
	// deletions.
	if same[0] && (same[1] || errors.Is(err, clair.ErrNotFound)) {
		return vexNews{}, clair.ErrUnchanged
	}
	n.partial = same[0] || same[1]
	for name, c := range n.deleted {
		if again, ok := n.changed[name]; ok && again.At.After(c.At) {
			delete(n.deleted, name)
		} else {
			delete(n.changed, name)
		}
	}
	return n, nil
}

// take keeps the changes since a time, including those of the same second,
// because the list may have been made within it.
func (n *vexNews) take(into map[string]vexChange, since time.Time, newest *time.Time, limit int) func(vexChange) error {
	return func(c vexChange) error {
		if c.At.Before(since) {
			return nil
		}
		if c.At.After(*newest) {
			*newest = c.At
		}
		into[vexName(c.Path)] = c
		if len(into) > limit {
			return fmt.Errorf("%w: more than %d changes since %s", clair.ErrTooLarge, limit, since.Format(time.DateTime))
		}
		return nil
	}
}

// list reads a list of changes unless it is unchanged.
func (u *vexUpdater) list(ctx context.Context, name string, last clair.Fingerprint, take func(vexChange) error) (clair.Fingerprint, bool, error) {
	f, fp, err := u.whole.Client.Get(ctx, fetch.Request{URL: u.whole.Feed.URL + name, Last: last})
	if errors.Is(err, clair.ErrUnchanged) {
		return last, true, nil
	}
	if err != nil {
		return "", false, err
	}
	for c, cerr := range readVEXChanges(feed.WithContext(ctx, bufio.NewReader(f))) {
		if err = cerr; err == nil {
			err = take(c)
		}
		if err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", false, fmt.Errorf("%s: %w", name, err)
	}
	return fp, false, nil
}

// vexStream is a stream of documents, with its files.
type vexStream struct {
	io.Reader
	closers []io.Closer
}

// Close closes the files and removes temporary ones.
func (s *vexStream) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// fill fetches the changed documents to a temporary file, and makes the stream
// of them and of the archive, if there is one.
func (s *vexStream) fill(ctx context.Context, u *vexUpdater, news vexNews, archive io.Reader) error {
	tmp, err := os.CreateTemp("", "oriel-vex-*")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	s.closers = append(s.closers, removedFile{tmp})
	delta := vexDelta{Whole: archive != nil, Deleted: slices.Sorted(maps.Keys(news.deleted))}
	buffered := bufio.NewWriter(tmp)
	docs := tar.NewWriter(buffered)
	for _, name := range slices.Sorted(maps.Keys(news.changed)) {
		err := u.document(ctx, docs, news.changed[name].Path)
		switch {
		case errors.Is(err, clair.ErrNotFound):
			delta.Missing = append(delta.Missing, name)
		case err != nil:
			return err
		default:
			delta.Fresh = append(delta.Fresh, name)
		}
	}
	if archive == nil {
		err = docs.Close()
	}
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read a temporary file: %w", err)
	}
	head, err := manifestOf(delta)
	if err != nil {
		return err
	}
	parts := []io.Reader{bytes.NewReader(head), bufio.NewReader(tmp)}
	if archive != nil {
		z, err := fetch.Decompress(archive)
		if err != nil {
			return err
		}
		s.closers = append([]io.Closer{z}, s.closers...)
		parts = append(parts, z)
	}
	s.Reader = io.MultiReader(parts...)
	return nil
}

// document copies one document into an archive.
func (u *vexUpdater) document(ctx context.Context, to *tar.Writer, path string) error {
	f, _, err := u.whole.Client.Get(ctx, fetch.Request{URL: u.whole.Feed.URL + path, MaxSize: maxVEX})
	if err != nil {
		return err
	}
	return errors.Join(addFile(to, path, f, f.Size()), f.Close())
}

// removedFile is a file that is removed when it is closed.
type removedFile struct{ *os.File }

// Close closes and removes the file.
func (f removedFile) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }
