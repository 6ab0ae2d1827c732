package lang

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"oriel/index/reader"
)

// conanReader reads the packages that Conan has locked, for C and C++.
func conanReader() reader.Reader {
	return reader.Reader{
		Name: "conan", Version: 1, Limit: 8 << 20, Repository: "conan",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "conan.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct {
				Requires []string
				Graph    struct { // version 1 of the format
					Nodes map[string]struct{ Ref string }
				} `json:"graph_lock"`
			}
			if err := reader.DecodeJSON(f, &lock); err != nil {
				return err
			}
			for _, n := range lock.Graph.Nodes {
				lock.Requires = append(lock.Requires, n.Ref)
			}
			for _, ref := range lock.Requires {
				if err := addConan(ref, out); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// addConan adds the package of a reference, NAME/VERSION[@USER/CHANNEL]#REVISION.
// Recipes of ConanCenter have neither user nor channel.
func addConan(ref string, out *reader.Found) error {
	ref, _, _ = strings.Cut(ref, "#")
	ref, owner, _ := strings.Cut(ref, "@")
	name, version, ok := strings.Cut(ref, "/")
	switch {
	case !ok || version == "":
		return nil // the project itself
	case owner != "" && owner != "_/_":
		return out.AddUnmatched(name, version, reader.NotPublic(owner))
	}
	return out.Add(reader.LanguagePackage("conan", name, version))
}
