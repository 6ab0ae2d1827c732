package index

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/pelletier/go-toml/v2"

	"oriel/clair"
)

func rustReader() reader {
	return reader{
		name: "rust", version: 1, limit: 8 << 20, repository: "crates.io", ownable: true,
		wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "Cargo.lock" },
		read: func(_ context.Context, f *file, out *found) error {
			var lock struct {
				Package []struct{ Name, Version, Source string }
			}
			if err := toml.NewDecoder(f.stream()).Decode(&lock); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			for _, p := range lock.Package {
				if p.Source == "" {
					continue // of the project itself, whatever its name
				}
				if err := out.add(languagePackage("crates.io", p.Name, p.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
