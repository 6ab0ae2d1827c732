package index

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// gemName and gemVersion are the assignments of a gem's specification, as
// RubyGems itself writes it on installing.
var (
	gemName    = regexp.MustCompile(`(?m)^\s*\w+\.name\s*=\s*["']([^"'#]+)["']`)
	gemVersion = regexp.MustCompile(`(?m)^\s*\w+\.version\s*=\s*(?:Gem::Version\.new\s*\(?\s*)?["']([^"'#]+)["']`)
	gemStub    = regexp.MustCompile(`(?m)^# stub: (\S+) (\S+) `)
)

func rubyReader() reader {
	return reader{
		name: "ruby", version: 1, limit: 4 << 20, repository: "rubygems", ownable: true,
		wants: func(p string, _ fs.FileMode) bool {
			dir := path.Dir(p)
			return path.Ext(p) == ".gemspec" && (path.Base(dir) == "specifications" || strings.HasSuffix(dir, "specifications/default"))
		},
		read: func(_ context.Context, f *file, out *found) error {
			text, err := f.whole()
			if err != nil {
				return err
			}
			if m := gemStub.FindSubmatch(text); m != nil {
				return out.add(languagePackage("rubygems", string(m[1]), string(m[2])))
			}
			name, ver := gemName.FindSubmatch(text), gemVersion.FindSubmatch(text)
			if name == nil || ver == nil {
				return nil
			}
			return out.add(languagePackage("rubygems", string(name[1]), string(ver[1])))
		},
	}
}
