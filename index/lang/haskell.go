package lang

import (
	"context"
	"io/fs"
	"path"
	"regexp"

	"oriel/index/reader"
)

// The packages in a cabal.project.freeze and in a stack.yaml.lock.
var (
	cabalPackage = regexp.MustCompile(`\bany\.([\w-]+) ==([\d.]+)`)
	stackPackage = regexp.MustCompile(`^\s*hackage: ([\w-]+?)-(\d[\d.]*)@`)
)

// haskellReader reads the packages that Cabal or Stack have locked.
func haskellReader() reader.Reader {
	return reader.Reader{
		Name: "haskell", Version: 1, Limit: 8 << 20, Repository: "hackage",
		Wants: func(p string, _ fs.FileMode) bool {
			base := path.Base(p)
			return base == "cabal.project.freeze" || base == "stack.yaml.lock"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			form := cabalPackage
			if path.Base(f.Path) == "stack.yaml.lock" {
				form = stackPackage
			}
			// Stack lists a package twice: as it was asked for and as it is.
			seen := map[string]bool{}
			return reader.Lines(f.Stream(), func(line string) error {
				m := form.FindStringSubmatch(line)
				if m == nil || seen[m[0]] {
					return nil
				}
				seen[m[0]] = true
				return out.Add(reader.LanguagePackage("hackage", m[1], m[2]))
			})
		},
	}
}
