package lang

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"oriel/clair"
	"oriel/index/reader"
)

// juliaReader reads the packages that Julia's Pkg has resolved.
func juliaReader() reader.Reader {
	return reader.Reader{
		Name: "julia", Version: 1, Limit: 8 << 20, Repository: "julia",
		Wants: func(p string, _ fs.FileMode) bool {
			base := path.Base(p)
			return base == "Manifest.toml" || base == "JuliaManifest.toml"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			var manifest struct {
				Format string                    `toml:"manifest_format"`
				Deps   map[string][]juliaPackage `toml:"deps"`
			}
			if err := toml.Unmarshal(text, &manifest); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			if manifest.Format == "" && manifest.Deps == nil {
				// Version 1 of the format has the packages at the top.
				if err := toml.Unmarshal(text, &manifest.Deps); err != nil {
					return nil // a manifest of something else
				}
			}
			for _, name := range slices.Sorted(maps.Keys(manifest.Deps)) {
				for _, p := range manifest.Deps[name] {
					if err := p.add(name, out); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

type juliaPackage struct {
	Version string `toml:"version"`
	UUID    string `toml:"uuid"`
	Tree    string `toml:"git-tree-sha1"`
	URL     string `toml:"repo-url"`
}

// add adds a package, unless it is part of Julia or of the project.
func (p juliaPackage) add(name string, out *reader.Found) error {
	switch {
	case p.UUID == "" || p.Tree == "" || p.Version == "":
		return nil
	case p.URL != "":
		return out.AddUnmatched(name, p.Version, reader.NotPublic(p.URL))
	}
	return out.Add(reader.LanguagePackage("julia", name, p.Version))
}
