package lang

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"oriel/clair"
	"oriel/index/reader"
)

func rustReader() reader.Reader {
	return reader.Reader{
		Name: "rust", Version: 2, Limit: 8 << 20, Repository: "crates.io", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "Cargo.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct {
				Package []struct{ Name, Version, Source string }
			}
			text, err := f.Text()
			if err != nil {
				return err
			}
			if err := toml.Unmarshal(text, &lock); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			for _, p := range lock.Package {
				if p.Source == "" {
					continue // a part of the project itself
				}
				if !isCratesIO(p.Source) {
					if err := out.AddUnmatched(p.Name, p.Version, reader.NotPublic(p.Source)); err != nil {
						return err
					}
					continue
				}
				if err := out.Add(reader.LanguagePackage("crates.io", p.Name, p.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// isCratesIO reports whether a source is the registry crates.io, under its
// address of a Git repository or the one of the sparse protocol.
func isCratesIO(source string) bool {
	return source == "registry+https://github.com/rust-lang/crates.io-index" || strings.HasPrefix(source, "sparse+") && reader.IsPublic("crates.io", source)
}
