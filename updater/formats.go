package updater

import (
	"context"
	"io"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/fetch"
)

// withContext makes a reader that ends when the context does.
func withContext(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx.Err, r} }

// contextReader keeps the context's question and not the context.
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

// releaseOption is the key by which a feed that does not say so itself is told
// what release it is of.
const releaseOption = "release"

// releaseOf reads the release of a feed, none where the key is not set.
func releaseOf(f Feed) (distro.Release, error) {
	name := f.Text(releaseOption)
	if name == "" {
		return distro.Release{}, nil
	}
	r, ok := distro.ReleaseByName(name)
	if !ok {
		return distro.Release{}, clair.Invalid(releaseOption, "%.40q is no release of a known distribution", name)
	}
	return r, nil
}

// plainFormat is a format of one plain file, parsed in one pass.
func plainFormat(name string, version int, parse func(io.Reader, distro.Release) rows) Format {
	return Format{
		Name: name, Kind: clair.KindVulnerability, Options: []Option{TextOption(releaseOption)},
		New: func(f Feed, c *fetch.Client) (clair.Updater, error) {
			release, err := releaseOf(f)
			if err != nil {
				return nil, err
			}
			return &whole{feed: f, client: c, version: version, parse: stream(func(ctx context.Context, r io.Reader) rows {
				return parse(withContext(ctx, r), release)
			})}, nil
		},
	}
}

// alpineFormat is the format "alpine": one repository of one branch of
// Alpine's secdb, or the security database of Wolfi or Chainguard.
func alpineFormat() Format { return plainFormat("alpine", 1, parseAlpine) }

// debianFormat is the format "debian": the security tracker's JSON.
func debianFormat() Format {
	f := plainFormat("debian", 1, func(r io.Reader, _ distro.Release) rows { return parseDebian(r) })
	f.Options = nil
	return f
}

// ovalFormat is the format "oval": definitions of vulnerabilities or patches.
func ovalFormat() Format {
	return Format{
		Name: "oval", Kind: clair.KindVulnerability, Options: []Option{TextOption(releaseOption)},
		New: func(f Feed, c *fetch.Client) (clair.Updater, error) {
			release, err := releaseOf(f)
			if err != nil {
				return nil, err
			}
			return &whole{feed: f, client: c, version: 1, parse: func(ctx context.Context, file *fetch.File) rows {
				return parseOVAL(func() (io.ReadCloser, error) {
					return fetch.Decompress(withContext(ctx, io.NewSectionReader(file, 0, file.Size())))
				}, release)
			}}, nil
		},
	}
}
