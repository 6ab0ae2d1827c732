package lang

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"oriel/index/reader"
)

// gemName and gemVersion are the assignments of a gem's specification, as
// RubyGems itself writes it on installing.
var (
	gemName    = regexp.MustCompile(`(?m)^\s*\w+\.name\s*=\s*(?:["']|%q\{)([^"'#}]+)["'}]`)
	gemVersion = regexp.MustCompile(`(?m)^\s*\w+\.version\s*=\s*(?:Gem::Version\.new\s*\(?\s*)?(?:["']|%q\{)([^"'#}]+)["'}]`)
	gemStub    = regexp.MustCompile(`(?m)^# stub: (\S+) (\S+) `)
)

func rubyReader() reader.Reader {
	return reader.Reader{
		Name: "ruby", Version: 2, Limit: 4 << 20, Repository: "rubygems", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			dir := path.Dir(p)
			return path.Ext(p) == ".gemspec" && (path.Base(dir) == "specifications" || strings.HasSuffix(dir, "specifications/default"))
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			if m := gemStub.FindSubmatch(text); m != nil {
				return out.Add(reader.LanguagePackage("rubygems", string(m[1]), string(m[2])))
			}
			name, ver := gemName.FindSubmatch(text), gemVersion.FindSubmatch(text)
			if name == nil || ver == nil {
				return out.AddUnmatched(strings.TrimSuffix(path.Base(f.Path), ".gemspec"), "", "its specification has no name and version that can be read")
			}
			return out.Add(reader.LanguagePackage("rubygems", string(name[1]), string(ver[1])))
		},
	}
}
