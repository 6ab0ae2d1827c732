package feed

import (
	"context"
	"io"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/fetch"
)

// WithContext returns a reader that fails once the context is done.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx.Err, r} }

// contextReader keeps the context's Err function, not the context.
type contextReader struct {
	done func() error
	r    io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// ReleaseOption is the key for the release of a feed that does not name it.
const ReleaseOption = "release"

// ReleaseOf returns the release of a feed, or none if the key is not set.
func ReleaseOf(f Feed) (distro.Release, error) {
	name := f.Text(ReleaseOption)
	if name == "" {
		return distro.Release{}, nil
	}
	r, ok := distro.ReleaseByName(name)
	if !ok {
		return distro.Release{}, clair.Invalid(ReleaseOption, "%.40q is not a release of a known distribution", name)
	}
	return r, nil
}

// PlainFormat returns a format of one plain file that is parsed in one pass.
func PlainFormat(name string, version int, parse func(io.Reader, distro.Release) Rows) Format {
	return Format{
		Name: name, Kind: clair.KindVulnerability, Options: []Option{TextOption(ReleaseOption)},
		New: func(f Feed, c *fetch.Client) (clair.Updater, error) {
			release, err := ReleaseOf(f)
			if err != nil {
				return nil, err
			}
			return &File{Feed: f, Client: c, Version: version, Read: Stream(func(ctx context.Context, r io.Reader) Rows {
				return parse(WithContext(ctx, r), release)
			})}, nil
		},
	}
}
