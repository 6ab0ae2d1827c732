package lang

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"oriel/index/reader"
)

// rReader reads the packages that are installed in a library of R.
func rReader() reader.Reader {
	return reader.Reader{
		Name: "r", Version: 1, Limit: 1 << 20, Repository: "cran", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			library := path.Base(path.Dir(path.Dir(p)))
			return path.Base(p) == "DESCRIPTION" && (library == "library" || library == "site-library")
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			prop := properties(text, ":")
			if prop["Package"] == "" || prop["Version"] == "" || prop["Priority"] == "base" {
				return nil // a part of R itself
			}
			return addR(prop["Package"], prop["Version"], prop["Repository"], out)
		},
	}
}

// rLockReader reads the packages that renv has locked.
func rLockReader() reader.Reader {
	return reader.Reader{
		Name: "r-lock", Version: 1, Limit: 8 << 20, Repository: "cran",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "renv.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct {
				Packages map[string]struct{ Package, Version, Source, Repository string }
			}
			if err := reader.DecodeJSON(f, &lock); err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(lock.Packages)) {
				p := lock.Packages[name]
				from := p.Repository
				if p.Source != "Repository" && p.Source != "" {
					from = p.Source
				}
				if err := addR(p.Package, p.Version, from, out); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// addR adds a package of CRAN, or of one of its mirrors, by the name or address
// of its repository.
func addR(name, version, repository string, out *reader.Found) error {
	switch {
	case repository == "CRAN", repository == "RSPM", repository == "P3M", strings.Contains(repository, "://") && reader.IsPublic("cran", repository):
		return out.Add(reader.LanguagePackage("cran", name, version))
	case repository == "":
		return out.AddUnmatched(name, version, "its description names no repository")
	}
	return out.AddUnmatched(name, version, reader.NotPublic(repository))
}
