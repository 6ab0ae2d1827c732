package system

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// apkPaths are where apk keeps its database, before and after Alpine's merge
// of /lib into /usr/lib. Nothing writes to it.
var apkPaths = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

// Apk returns the reader of apk's database.
func Apk() reader.Reader {
	return reader.Reader{
		Name: "apk", Version: 2, Limit: 256 << 20, Database: true,
		Paths: apkPaths,
		Wants: func(p string, _ fs.FileMode) bool { return slices.Contains(apkPaths, p) },
		Read:  func(_ context.Context, f *reader.File, out *reader.Found) error { return parseApk(f.Stream(), out) },
	}
}

// parseApk reads apk's database: paragraphs of lines that begin with a letter
// and a colon (apk-installed(5)). F is a directory, R a file in it.
func parseApk(r io.Reader, out *reader.Found) error {
	var p clair.Package
	var origin, dir string
	flush := func() error {
		if p.Name != "" {
			if p.Version == "" {
				return clair.Invalid("apk", "package %.60q has no version", p.Name)
			}
			// A package that names no origin is its own.
			src := clair.Package{Name: origin, Version: p.Version, Kind: clair.Source}
			if origin == "" {
				src.Name = p.Name
			}
			p.Source = &src
		}
		err := out.Add(p)
		p, origin, dir = clair.Package{}, "", ""
		return err
	}
	err := reader.Lines(r, func(line string) error {
		if line == "" {
			return flush()
		}
		if len(line) < 2 || line[1] != ':' {
			return clair.Invalid("apk", "%.60q is not KEY:VALUE", line)
		}
		value := line[2:]
		switch line[0] {
		case 'P':
			p.Name = value
		case 'V':
			p.Version = value
		case 'A':
			p.Arch = value
		case 'o':
			origin = value
		case 'F':
			dir = value
		case 'R':
			if out.Owned != nil {
				out.Owned(strings.TrimPrefix(dir+"/"+value, "/"))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
