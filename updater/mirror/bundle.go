package mirror

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// Contents are states of feeds with their rows, such as those of a bundle.
// Each is read before the next is requested, and may be skipped.
type Contents interface {
	Contents(context.Context) iter.Seq2[*clair.FeedContent, error]
}

// publicKeyOption names the file of the key that must have signed a bundle.
const publicKeyOption = "public_key"

// bundleVersion is the version of the rows that a bundle becomes.
const bundleVersion = 1

// BundleFormat returns the format "bundle": the export of another Oriel, in a
// file or at its address. Its feeds become updaters of the same names, of both
// kinds. open reads a fetched bundle and verifies all of it; the file of a
// public key is "" if any bundle is accepted.
func BundleFormat(open func(ctx context.Context, f *fetch.File, publicKey string) (Contents, error)) feed.Format {
	return feed.Format{
		Name: "bundle", Kind: clair.KindVulnerability,
		Options: append([]feed.Option{feed.StringsOption(updatersOption), feed.TextOption(prefixOption), feed.FileOption(publicKeyOption)}, authOptions()...),
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			auth, err := newRemoteAuth(f)
			if err != nil {
				return nil, err
			}
			return &bundleSet{feed: f, client: c, auth: auth, open: open}, nil
		},
	}
}

// bundleSet is a bundle as a set of updaters.
type bundleSet struct {
	clair.NoopUpdater
	feed   feed.Feed
	client *fetch.Client
	auth   remoteAuth
	open   func(context.Context, *fetch.File, string) (Contents, error)
	fp     clair.Fingerprint
}

// Name is the feed's name.
func (s *bundleSet) Name() string { return s.feed.Name }

// Revision returns a hash of everything that decides which rows the bundle
// becomes.
func (s *bundleSet) Revision() string { return feed.Revision(s.feed, bundleVersion) }

// Fingerprint returns the fingerprint of the last bundle.
func (s *bundleSet) Fingerprint() clair.Fingerprint { return s.fp }

// Updaters fetches the bundle unconditionally.
func (s *bundleSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return s.UpdatersSince(ctx, "")
}

// UpdatersSince fetches the bundle, unless it still has the fingerprint, and
// verifies it before it yields anything.
func (s *bundleSet) UpdatersSince(ctx context.Context, last clair.Fingerprint) iter.Seq2[clair.Updater, error] {
	return func(yield func(clair.Updater, error) bool) {
		err := s.fetch(ctx, last, func(u clair.Updater) bool { return yield(u, nil) })
		if err != nil && !errors.Is(err, feed.ErrStopped) {
			yield(nil, err)
		}
	}
}

func (s *bundleSet) fetch(ctx context.Context, last clair.Fingerprint, yield func(clair.Updater) bool) (err error) {
	s.fp = last
	h := http.Header{}
	if err := s.auth.authorize(h); err != nil {
		return err
	}
	f, fp, err := s.client.Get(ctx, fetch.Request{
		URL: s.feed.URL, Last: last, MaxSize: s.feed.Bytes(feed.MaxSizeOption), Header: h, ErrorTrailer: errorTrailer,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c, err := s.open(ctx, f, s.feed.Text(publicKeyOption))
	if err != nil {
		return err
	}
	s.fp = fp
	wanted := wantedOf(s.feed)
	for u, err := range carry(ctx, c, s.feed.Text(prefixOption), wanted) {
		if err != nil {
			return err
		}
		if !yield(u) {
			return feed.ErrStopped
		}
	}
	return wanted.missing()
}

// carry returns updaters of contents.
func carry(ctx context.Context, c Contents, prefix string, w wanted) iter.Seq2[clair.Updater, error] {
	return func(yield func(clair.Updater, error) bool) {
		for one, err := range c.Contents(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !w.take(one.Updater) {
				continue
			}
			m := carried{content: one, name: prefix + one.Updater}
			var u clair.Updater = &carriedVulnerabilities{m}
			if one.Kind == clair.KindEnrichment {
				u = &carriedEnrichments{carried: m}
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

// carried is one state of one feed.
type carried struct {
	content *clair.FeedContent
	name    string
}

// Name returns the updater's name.
func (c *carried) Name() string { return c.name }

// State returns the state, with its fingerprint here. A state without a
// fingerprint is recognized by its operation.
func (c *carried) State() clair.FeedState {
	s := c.content.FeedState
	s.Updater = c.name
	if s.Fingerprint == "" {
		s.Fingerprint = clair.Fingerprint("ref:" + s.Ref.String())
	}
	return s
}

// open does the work of Fetch and FetchEnrichment. The rows come from
// elsewhere.
func (c *carried) open(last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	fp := c.State().Fingerprint
	if last == fp {
		return nil, "", clair.ErrUnchanged
	}
	return io.NopCloser(strings.NewReader("")), fp, nil
}

// carriedVulnerabilities is a state of vulnerabilities.
type carriedVulnerabilities struct{ carried }

// Fetch returns an ErrUnchanged if the state is already imported.
func (c *carriedVulnerabilities) Fetch(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return c.open(last)
}

// Parse returns the state's rows.
func (c *carriedVulnerabilities) Parse(context.Context, io.ReadCloser) feed.Rows {
	return c.content.Vulnerabilities
}

// carriedEnrichments is a state of enrichments.
type carriedEnrichments struct {
	clair.NoopUpdater
	carried
}

// FetchEnrichment returns an ErrUnchanged if the state is already imported.
func (c *carriedEnrichments) FetchEnrichment(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return c.open(last)
}

// ParseEnrichment returns the state's records.
func (c *carriedEnrichments) ParseEnrichment(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentRecord, error] {
	return c.content.Enrichments
}

// contentsSet is a set of contents that belongs to no feed of the
// configuration.
type contentsSet struct {
	clair.NoopUpdater
	name     string
	contents Contents
}

// Name returns where the contents come from.
func (s *contentsSet) Name() string { return s.name }

// Updaters returns an updater for each content.
func (s *contentsSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return carry(ctx, s.contents, "", wanted{all: true})
}

// NewContents returns a set of contents that belongs to no configured feed.
func NewContents(name string, c Contents) feed.Set { return &contentsSet{name: name, contents: c} }
