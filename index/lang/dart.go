package lang

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"oriel/index/reader"
)

// dartReader reads the packages that Dart's pub has locked.
func dartReader() reader.Reader {
	return reader.Reader{
		Name: "dart", Version: 1, Limit: 8 << 20, Repository: "pub",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "pubspec.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var p dartPackage
			in := false
			err := reader.Lines(f.Stream(), func(line string) error {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				value = strings.Trim(strings.TrimSpace(value), `"'`)
				switch indent := len(line) - len(strings.TrimLeft(line, " ")); {
				case indent == 0:
					err := p.add(out)
					p, in = dartPackage{}, key == "packages"
					return err
				case in && indent == 2:
					err := p.add(out)
					p = dartPackage{name: strings.Trim(key, `"'`)}
					return err
				case in && indent == 4 && key == "source":
					p.source = value
				case in && indent == 4 && key == "version":
					p.version = value
				case in && indent == 6 && key == "url":
					p.url = value
				}
				return nil
			})
			if err != nil {
				return err
			}
			return p.add(out)
		},
	}
}

type dartPackage struct{ name, source, url, version string }

// add adds a package, unless it is part of the project or of the SDK.
func (p dartPackage) add(out *reader.Found) error {
	switch {
	case p.name == "" || p.source == "sdk" || p.source == "path":
		return nil
	case p.source == "git", !reader.IsPublic("pub", p.url):
		return out.AddUnmatched(p.name, p.version, reader.NotPublic(p.url))
	}
	return out.Add(reader.LanguagePackage("pub", p.name, p.version))
}
