package lang

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"strings"

	"oriel/index/reader"
)

// swiftReader reads the packages that the Swift Package Manager has resolved.
// They are named by the addresses of their repositories.
func swiftReader() reader.Reader {
	return reader.Reader{
		Name: "swift", Version: 1, Limit: 8 << 20, Repository: "swift",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "Package.resolved" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			type pin struct {
				Location      string
				RepositoryURL string
				State         struct{ Version, Revision string }
			}
			var resolved struct {
				Pins   []pin
				Object struct{ Pins []pin } // version 1 of the format
			}
			if err := reader.DecodeJSON(f, &resolved); err != nil {
				return err
			}
			for _, p := range append(resolved.Pins, resolved.Object.Pins...) {
				name := swiftName(cmp.Or(p.Location, p.RepositoryURL))
				var err error
				if p.State.Version == "" {
					err = out.AddUnmatched(name, p.State.Revision, "it is a revision, not a released version")
				} else {
					err = out.Add(reader.LanguagePackage("swift", name, p.State.Version))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// swiftName returns the name of a package by the address of its repository, as
// advisories have it: HOST/PATH.
func swiftName(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	} else if user, rest, ok := strings.Cut(address, "@"); ok && !strings.Contains(user, "/") {
		address = strings.Replace(rest, ":", "/", 1) // git@HOST:PATH
	}
	if user, rest, ok := strings.Cut(address, "@"); ok && !strings.Contains(user, "/") {
		address = rest
	}
	return strings.TrimSuffix(address, ".git")
}
