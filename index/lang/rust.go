package lang

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/pelletier/go-toml/v2"

	"oriel/clair"
	"oriel/index/reader"
)

func rustReader() reader.Reader {
	return reader.Reader{
		Name: "rust", Version: 1, Limit: 8 << 20, Repository: "crates.io", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "Cargo.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct {
				Package []struct{ Name, Version, Source string }
			}
			if err := toml.NewDecoder(f.Stream()).Decode(&lock); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			for _, p := range lock.Package {
				if p.Source == "" {
					continue // of the project itself, whatever its name
				}
				if err := out.Add(reader.LanguagePackage("crates.io", p.Name, p.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
