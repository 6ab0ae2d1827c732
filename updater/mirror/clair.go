package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// The keys that select updaters of a feed with several, and the prefix of
// their names.
const (
	updatersOption = "updaters"
	prefixOption   = "prefix"
)

// mirrorVersion is the version of the rows that a server's rows become.
const mirrorVersion = 1

// ClairFormat returns the format "clair": a running Clair v4, or another
// Oriel. Its vulnerability updaters become updaters of the same names, each
// with the newest operation of the server. Clair does not serve enrichments.
func ClairFormat() feed.Format {
	return feed.Format{
		Name: "clair", Kind: clair.KindVulnerability,
		Options: append([]feed.Option{feed.StringsOption(updatersOption), feed.TextOption(prefixOption)}, authOptions()...),
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			base, err := url.Parse(f.URL)
			if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
				return nil, clair.Invalid("url", "must be the http or https address of a server")
			}
			auth, err := newRemoteAuth(f)
			if err != nil {
				return nil, err
			}
			return &clairSet{feed: f, client: c, base: base, auth: auth}, nil
		},
	}
}

// clairSet is a server as a set of updaters.
type clairSet struct {
	clair.NoopUpdater
	feed   feed.Feed
	client *fetch.Client
	base   *url.URL
	auth   remoteAuth
}

// Name is the feed's name.
func (s *clairSet) Name() string { return s.feed.Name }

// Updaters requests the newest operations of the server.
func (s *clairSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return func(yield func(clair.Updater, error) bool) {
		newest, err := s.operations(ctx, "?latest=true")
		if err != nil {
			yield(nil, err)
			return
		}
		// The server's other operations are requested when they are needed.
		var all map[string][]clair.UpdateOperation
		has := func(ctx context.Context, updater string, ref uuid.UUID) (bool, error) {
			if all == nil {
				if all, err = s.operations(ctx, ""); err != nil {
					return false, err
				}
			}
			return slices.ContainsFunc(all[updater], func(o clair.UpdateOperation) bool { return o.Ref == ref }), nil
		}
		wanted := wantedOf(s.feed)
		for _, name := range slices.Sorted(maps.Keys(newest)) {
			ops := newest[name]
			if len(ops) == 0 || !wanted.take(name) {
				continue
			}
			if !yield(&mirror{set: s, theirs: name, newest: ops[0], has: has}, nil) {
				return
			}
		}
		if err := wanted.missing(); err != nil {
			yield(nil, err)
		}
	}
}

// wanted returns the updaters that a feed selects.
type wanted struct {
	all   bool
	names map[string]bool // whether it was met
}

func wantedOf(f feed.Feed) wanted {
	list := f.Strings(updatersOption)
	w := wanted{all: len(list) == 0, names: map[string]bool{}}
	for _, n := range list {
		w.names[n] = false
	}
	return w
}

func (w wanted) take(name string) bool {
	if _, ok := w.names[name]; ok {
		w.names[name] = true
		return true
	}
	return w.all
}

// missing returns an error about selected updaters that do not exist.
func (w wanted) missing() error {
	var errs []error
	for _, n := range slices.Sorted(maps.Keys(w.names)) {
		if !w.names[n] {
			errs = append(errs, fmt.Errorf("updater %q: %w there", n, clair.ErrNotFound))
		}
	}
	return errors.Join(errs...)
}

// maxListing limits the list of operations.
const maxListing = 16 << 20

// operations reads the server's list of operations.
func (s *clairSet) operations(ctx context.Context, query string) (map[string][]clair.UpdateOperation, error) {
	f, err := s.get(ctx, "update_operation", query, maxListing)
	if err != nil {
		return nil, err
	}
	var ops map[string][]clair.UpdateOperation // null is an empty one
	r, err := fetch.Decompress(feed.WithContext(ctx, f))
	if err == nil {
		err = json.NewDecoder(fetch.Limit(r, maxListing)).Decode(&ops)
		err = errors.Join(feed.UnexpectedEOF(err), r.Close())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("list of operations: %w", err)
	}
	return ops, nil
}

// errorTrailer is the trailer in which a server reports that it could not
// finish a body.
const errorTrailer = "Clair-Error"

// get makes one request to the server's internal API. Accepting a compressed
// answer saves nine tenths of the bytes.
func (s *clairSet) get(ctx context.Context, what, query string, limit int64) (*fetch.File, error) {
	h := http.Header{"Accept-Encoding": {"zstd, gzip"}}
	if err := s.auth.authorize(h); err != nil {
		return nil, err
	}
	address := s.base.JoinPath("matcher/api/v1/internal", what).String() + query
	f, _, err := s.client.Get(ctx, fetch.Request{URL: address, MaxSize: limit, Header: h, ErrorTrailer: errorTrailer})
	return f, err
}

// mirror is one updater of a server.
type mirror struct {
	set    *clairSet
	theirs string // its name there
	newest clair.UpdateOperation
	// has reports whether the server still has an operation.
	has func(ctx context.Context, updater string, ref uuid.UUID) (bool, error)
}

// mirrorMark is the fingerprint of a mirrored operation.
type mirrorMark struct {
	// Ref is the operation's reference on the server.
	Ref uuid.UUID `json:"ref"`
	// Exact means that no two rows of the server look the same here. They may,
	// because the ranges that distinguish them are not served. Only if Exact is
	// set does a removed row of the server mean that a row is removed here.
	Exact bool `json:"exact"`
}

// Name is the updater's name here.
func (m *mirror) Name() string { return m.set.feed.Text(prefixOption) + m.theirs }

// Revision returns a hash of everything that decides which rows the server's
// rows become.
func (m *mirror) Revision() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "clair\n%d\n%s\n%s", mirrorVersion, m.set.base.Redacted(), m.theirs))
	return hex.EncodeToString(sum[:6])
}

// Fetch fetches the whole newest operation.
func (m *mirror) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	if m.mark(last).Ref == m.newest.Ref {
		return nil, "", clair.ErrUnchanged
	}
	return m.diff(ctx, uuid.Nil)
}

// FetchDelta fetches the changes since the last mirrored operation. If the
// server no longer has it, the error is an ErrBase.
func (m *mirror) FetchDelta(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	mark := m.mark(last)
	switch {
	case mark.Ref == m.newest.Ref:
		return nil, "", clair.ErrUnchanged
	case mark.Ref == uuid.Nil || !mark.Exact:
		return m.diff(ctx, uuid.Nil)
	}
	known, err := m.has(ctx, m.theirs, mark.Ref)
	if err != nil {
		return nil, "", err
	}
	if !known {
		return nil, "", fmt.Errorf("%w: the server no longer has operation %s", clair.ErrBase, mark.Ref)
	}
	body, fp, err := m.diff(ctx, mark.Ref)
	if errors.Is(err, clair.ErrNotFound) { // deleted just now
		return nil, "", fmt.Errorf("%w: %w", clair.ErrBase, err)
	}
	return body, fp, err
}

func (m *mirror) mark(fp clair.Fingerprint) (mark mirrorMark) {
	if err := json.Unmarshal([]byte(fp), &mark); err != nil {
		return mirrorMark{} // another's fingerprint: everything is new
	}
	return mark
}

// diff fetches a difference to the newest operation and reads it once, so that
// a truncated or damaged one is never applied in part.
func (m *mirror) diff(ctx context.Context, prev uuid.UUID) (io.ReadCloser, clair.Fingerprint, error) {
	query := "?cur=" + m.newest.Ref.String()
	if prev != uuid.Nil {
		query = "?prev=" + prev.String() + "&cur=" + m.newest.Ref.String()
	}
	f, err := m.set.get(ctx, "update_diff", query, m.set.feed.Bytes(feed.MaxSizeOption))
	if err != nil {
		return nil, "", err
	}
	mark := mirrorMark{Ref: m.newest.Ref}
	mark.Exact, err = checkDiff(ctx, f, prev, m.newest.Ref)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("difference of %s: %w", m.theirs, err), f.Close())
	}
	fp, err := json.Marshal(mark)
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return &diffBody{File: f, partial: prev != uuid.Nil}, clair.Fingerprint(fp), nil
}

// diffBody is a difference that has been fetched.
type diffBody struct {
	*fetch.File
	partial bool
}

// Parse reads the rows of a whole operation.
func (m *mirror) Parse(ctx context.Context, r io.ReadCloser) feed.Rows {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for c, err := range readDiff(feed.WithContext(ctx, r)) {
			if c.Removed != nil {
				err = feed.Malformed("what is compared with nothing has removed rows")
			}
			if !yield(c.Added, err) || c.Removed != nil {
				return
			}
		}
	}
}

// ParseDelta reads a difference.
func (m *mirror) ParseDelta(ctx context.Context, r io.ReadCloser) (feed.Delta, error) {
	if b, ok := r.(*diffBody); ok && b.partial {
		return feed.Delta{Changes: readDiff(feed.WithContext(ctx, r))}, nil
	}
	return feed.Delta{Whole: true, Rows: m.Parse(ctx, r)}, nil
}
