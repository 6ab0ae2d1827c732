package index

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"

	"oriel/clair"
)

// apkPaths are where apk keeps its database, before and after Alpine's merge
// of /lib into /usr/lib. Nothing writes to it.
var apkPaths = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

func apkReader() reader {
	return reader{
		name: "apk", version: 1, limit: 256 << 20, database: true,
		wants: func(p string, _ fs.FileMode) bool { return slices.Contains(apkPaths, p) },
		read:  func(_ context.Context, f *file, out *found) error { return parseApk(f.stream(), out) },
	}
}

// parseApk reads apk's database: paragraphs of lines that begin with a letter
// and a colon (apk-installed(5)). F is a directory, R a file in it.
func parseApk(r io.Reader, out *found) error {
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
		err := out.add(p)
		p, origin, dir = clair.Package{}, "", ""
		return err
	}
	err := lines(r, func(line string) error {
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
			if out.owned != nil {
				out.owned(strings.TrimPrefix(dir+"/"+value, "/"))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
