package lang

import (
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"path"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

func nodeReader() reader.Reader {
	return reader.Reader{
		Name: "node", Version: 2, Limit: 1 << 20, Repository: "npm", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return isInstalledNode(p) },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var p struct {
				Name, Version string
				Resolved      string `json:"_resolved"` // by npm until 6
			}
			if err := reader.DecodeJSON(f, &p); err != nil {
				return err
			}
			if p.Name == "" || p.Version == "" {
				return nil // it only tells how to load the files next to it
			}
			if !reader.IsPublic("npm", p.Resolved) {
				return out.AddUnmatched(p.Name, p.Version, reader.NotPublic(p.Resolved))
			}
			return out.Add(reader.LanguagePackage("npm", p.Name, p.Version))
		},
	}
}

// isInstalledNode reports whether a path is node_modules/NAME/package.json or
// node_modules/@SCOPE/NAME/package.json; deeper ones are files of a package.
func isInstalledNode(p string) bool {
	dir, base := path.Split(p)
	if base != "package.json" {
		return false
	}
	parent := path.Dir(path.Clean(dir))
	if strings.HasPrefix(path.Base(parent), "@") {
		parent = path.Dir(parent)
	}
	return path.Base(parent) == "node_modules"
}

// nodeLockReader reads the packages that a project would have installed, for
// projects whose node_modules are packed away. Packages for development alone
// are left out.
func nodeLockReader() reader.Reader {
	return reader.Reader{
		Name: "node-lock", Version: 2, Limit: 24 << 20, Repository: "npm", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			base := path.Base(p)
			return (base == "package-lock.json" || base == "npm-shrinkwrap.json") && !strings.Contains("/"+p, "/node_modules/")
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct {
				Packages     map[string]nodeLock
				Dependencies map[string]nodeLock
			}
			if err := reader.DecodeJSON(f, &lock); err != nil {
				return err
			}
			if len(lock.Packages) == 0 {
				return addNodeTree(lock.Dependencies, out, 0)
			}
			for at, p := range lock.Packages {
				_, name, installed := cutLast(at, "node_modules/")
				if !installed || p.Dev || p.Link {
					continue // the project itself, or a directory of it
				}
				if err := p.add(name, out); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// nodeHiddenReader reads the origins of the installed packages, which npm
// records in node_modules since version 7.
func nodeHiddenReader() reader.Reader {
	return reader.Reader{
		Name: "node-origin", Version: 1, Limit: 24 << 20,
		Wants: func(p string, _ fs.FileMode) bool {
			return path.Base(p) == ".package-lock.json" && path.Base(path.Dir(p)) == "node_modules"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var lock struct{ Packages map[string]nodeLock }
			if err := reader.DecodeJSON(f, &lock); err != nil {
				return err
			}
			root := path.Dir(path.Dir(f.Path))
			for at, p := range lock.Packages {
				if reason := p.notPublic(); reason != "" && !p.Link {
					out.Private(path.Join(root, at, "package.json"), reason)
				}
			}
			return nil
		},
	}
}

type nodeLock struct {
	Name, Version string
	Resolved      string
	Dev, Link     bool
	Dependencies  nodeTree
}

// add adds a package of a lock file. Under an alias, the lock names the real
// package: in a field of its own, or in the version "npm:NAME@VERSION" of the
// first version of the format.
func (p nodeLock) add(name string, out *reader.Found) error {
	name = cmp.Or(p.Name, name)
	if alias, ok := strings.CutPrefix(p.Version, "npm:"); ok {
		if real, version, ok := cutLast(alias, "@"); ok && real != "" {
			name, p.Version = real, version
		}
	}
	if reason := p.notPublic(); reason != "" {
		return out.AddUnmatched(name, p.Version, reason)
	}
	return out.Add(reader.LanguagePackage("npm", name, p.Version))
}

// notPublic returns the reason for which a package is not one of the public
// registry's, "" if it is: a version control system, a file or another
// registry. The first version of the format has such an address in place of a
// version.
func (p nodeLock) notPublic() string {
	from := p.Resolved
	if scheme, rest, ok := strings.Cut(p.Version, ":"); ok && rest != "" && scheme != "npm" {
		from = p.Version
	}
	if reader.IsPublic("npm", from) {
		return ""
	}
	return reader.NotPublic(from)
}

// nodeTree is the tree of the first version of the format. In later ones the
// same key has ranges of versions.
type nodeTree map[string]nodeLock

// UnmarshalJSON ignores values that are not a tree.
func (t *nodeTree) UnmarshalJSON(b []byte) error {
	var tree map[string]nodeLock
	if json.Unmarshal(b, &tree) == nil {
		*t = tree
	}
	return nil
}

func addNodeTree(tree map[string]nodeLock, out *reader.Found, depth int) error {
	if depth > 100 {
		return clair.Invalid("package-lock", "its dependencies are nested more than 100 deep")
	}
	for name, p := range tree {
		if !p.Dev {
			if err := p.add(name, out); err != nil {
				return err
			}
		}
		if err := addNodeTree(p.Dependencies, out, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
