package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/fetch"
)

// Contents are states of feeds with their rows, such as a bundle holds. Each is
// to be read before the next is asked for, and may be passed by.
type Contents interface {
	Contents(context.Context) iter.Seq2[*clair.FeedContent, error]
}

// publicKeyOption names the file of the key that must have signed a bundle.
const publicKeyOption = "public_key"

// bundleVersion is of what a bundle becomes here.
const bundleVersion = 1

// BundleFormat is the format "bundle": what another Oriel exports, in a file or
// at its address. Its feeds become updaters of the same names here, of both
// kinds. open reads a bundle that has been fetched, checking all of it; the
// file of a public key is "" where any bundle will do.
func BundleFormat(open func(ctx context.Context, f *fetch.File, publicKey string) (Contents, error)) Format {
	return Format{
		Name: "bundle", Kind: clair.KindVulnerability,
		Options: append([]Option{StringsOption(updatersOption), TextOption(prefixOption), FileOption(publicKeyOption)}, authOptions()...),
		New: func(f Feed, c *fetch.Client) (clair.Updater, error) {
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
	feed   Feed
	client *fetch.Client
	auth   remoteAuth
	open   func(context.Context, *fetch.File, string) (Contents, error)
	fp     clair.Fingerprint
}

// Name is the feed's name.
func (s *bundleSet) Name() string { return s.feed.Name }

// Revision changes with all that decides what the bundle becomes here.
func (s *bundleSet) Revision() string { return revision(s.feed, bundleVersion) }

// Fingerprint is that of the bundle fetched last.
func (s *bundleSet) Fingerprint() clair.Fingerprint { return s.fp }

// Updaters fetches the bundle whatever is known of it.
func (s *bundleSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return s.UpdatersSince(ctx, "")
}

// UpdatersSince fetches the bundle unless it still has the fingerprint, and has
// it checked before it yields anything.
func (s *bundleSet) UpdatersSince(ctx context.Context, last clair.Fingerprint) iter.Seq2[clair.Updater, error] {
	return func(yield func(clair.Updater, error) bool) {
		err := s.fetch(ctx, last, func(u clair.Updater) bool { return yield(u, nil) })
		if err != nil && !errors.Is(err, errStopped) {
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
		URL: s.feed.URL, Last: last, MaxSize: s.feed.Bytes(MaxSizeOption), Header: h, ErrorTrailer: errorTrailer,
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
			return errStopped
		}
	}
	return wanted.missing()
}

// carry makes updaters of contents.
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

// Name is the updater's name here.
func (c *carried) Name() string { return c.name }

// State is the state, under the fingerprint it has here too. One without a
// fingerprint is recognised by its operation.
func (c *carried) State() clair.FeedState {
	s := c.content.FeedState
	s.Updater = c.name
	if s.Fingerprint == "" {
		s.Fingerprint = clair.Fingerprint("ref:" + s.Ref.String())
	}
	return s
}

// open is Fetch and FetchEnrichment. The rows come from elsewhere.
func (c *carried) open(last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	fp := c.State().Fingerprint
	if last == fp {
		return nil, "", clair.ErrUnchanged
	}
	return io.NopCloser(strings.NewReader("")), fp, nil
}

// carriedVulnerabilities is a state of vulnerabilities.
type carriedVulnerabilities struct{ carried }

// Fetch says whether the state is the one there is.
func (c *carriedVulnerabilities) Fetch(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return c.open(last)
}

// Parse gives the state's rows.
func (c *carriedVulnerabilities) Parse(context.Context, io.ReadCloser) rows {
	return c.content.Vulnerabilities
}

// carriedEnrichments is a state of enrichments.
type carriedEnrichments struct {
	clair.NoopUpdater
	carried
}

// FetchEnrichment says whether the state is the one there is.
func (c *carriedEnrichments) FetchEnrichment(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	return c.open(last)
}

// ParseEnrichment gives the state's records.
func (c *carriedEnrichments) ParseEnrichment(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentRecord, error] {
	return c.content.Enrichments
}

// contentsSet are contents as a set that no feed of the configuration brings.
type contentsSet struct {
	clair.NoopUpdater
	name     string
	contents Contents
}

// Name says where the contents came from.
func (s *contentsSet) Name() string { return s.name }

// Updaters makes an updater of each content.
func (s *contentsSet) Updaters(ctx context.Context) iter.Seq2[clair.Updater, error] {
	return carry(ctx, s.contents, "", wanted{all: true})
}

// ImportContents makes operations of contents that are new here, and says for
// each how that went. Each is made whole or not at all; one that fails does not
// keep the others from being made. A feed of the configuration whose format is
// another's is an ErrConflict. The error is all that went wrong; where there are
// no results nothing was begun. One import runs at a time, beside the feeds'
// runs: on a box without internet these may be waiting for it for long.
func (m *Manager) ImportContents(ctx context.Context, c Contents) ([]Result, error) {
	return m.importSet(ctx, &contentsSet{name: "import", contents: c})
}

// ImportLines is ImportContents for a file by clairctl export-updaters, plain or
// compressed.
func (m *Manager) ImportLines(ctx context.Context, r io.Reader) ([]Result, error) {
	return m.importSet(ctx, &linesSet{feed: Feed{Name: "import"}, from: r})
}

func (m *Manager) importSet(ctx context.Context, s Set) ([]Result, error) {
	select {
	case m.bringing <- struct{}{}:
		defer func() { <-m.bringing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("import: %w", context.Cause(ctx))
	}
	r := &run{m: m, updater: s, name: s.Name(), start: time.Now()}
	res := r.runMembers(ctx, ctx, s, m.admitImport)
	m.collect(ctx)
	if n := len(res.Members); n > 0 && res.Err != nil && !slices.ContainsFunc(res.Members, func(r Result) bool { return r.Err != nil }) {
		// It broke off after some.
		res.Members = append(res.Members, Result{Updater: s.Name(), Err: res.Err})
	}
	return res.Members, res.Err
}

// admitImport refuses what is no name, or that of another feed: the format
// tells whether two are the same.
func (m *Manager) admitImport(u clair.Updater) error {
	if err := checkName(u.Name()); err != nil {
		return err
	}
	i := m.index(u.Name())
	if i < 0 {
		return nil
	}
	here, there := m.formats[u.Name()], ""
	if c, ok := u.(Carried); ok {
		there = c.State().Format
	}
	if _, set := m.updaters[i].(Set); set || here != "" && there != "" && here != there {
		return fmt.Errorf("%w: %s is a feed of format %q here, and one of format %q there", clair.ErrConflict, u.Name(), here, there)
	}
	return nil
}
