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
		Name: "node", Version: 1, Limit: 1 << 20, Repository: "npm", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return isInstalledNode(p) },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var p struct{ Name, Version string }
			if err := reader.DecodeJSON(f, &p); err != nil {
				return err
			}
			if p.Name == "" || p.Version == "" {
				return nil // one that only says how to load what is beside it
			}
			return out.Add(reader.LanguagePackage("npm", p.Name, p.Version))
		},
	}
}

// isInstalledNode knows node_modules/NAME/package.json and
// node_modules/@SCOPE/NAME/package.json; deeper ones are a package's own.
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

// nodeLockReader reads what a project would have installed, for projects whose
// node_modules are packed away. What is only for development is not.
func nodeLockReader() reader.Reader {
	return reader.Reader{
		Name: "node-lock", Version: 1, Limit: 24 << 20, Repository: "npm", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			return path.Base(p) == "package-lock.json" && !strings.Contains("/"+p, "/node_modules/")
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
				if err := out.Add(reader.LanguagePackage("npm", cmp.Or(p.Name, name), p.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

type nodeLock struct {
	Name, Version string
	Dev, Link     bool
	Dependencies  nodeTree
}

// nodeTree is the tree of the first version of the format. In later ones the
// same key holds ranges, which are none of our business.
type nodeTree map[string]nodeLock

// UnmarshalJSON ignores what is not a tree.
func (t *nodeTree) UnmarshalJSON(b []byte) error {
	var tree map[string]nodeLock
	if json.Unmarshal(b, &tree) == nil {
		*t = tree
	}
	return nil
}

func addNodeTree(tree map[string]nodeLock, out *reader.Found, depth int) error {
	if depth > 100 {
		return clair.Invalid("package-lock", "it is nested too deep")
	}
	for name, p := range tree {
		if !p.Dev {
			if err := out.Add(reader.LanguagePackage("npm", name, p.Version)); err != nil {
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
