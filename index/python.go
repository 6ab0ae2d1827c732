package index

import (
	"context"
	"io"
	"io/fs"
	"path"
	"strings"
)

func pythonReader() reader {
	return reader{
		name: "python", version: 1, limit: 16 << 20, repository: "pypi", ownable: true,
		wants: func(p string, _ fs.FileMode) bool {
			dir, base := path.Split(p)
			switch base {
			case "METADATA":
				return strings.HasSuffix(dir, ".dist-info/")
			case "PKG-INFO":
				return strings.HasSuffix(dir, ".egg-info/") || strings.HasSuffix(dir, "EGG-INFO/")
			}
			return strings.HasSuffix(base, ".egg-info")
		},
		read: func(_ context.Context, f *file, out *found) error {
			name, ver, err := parseMetadata(f.stream())
			if err != nil || name == "" || ver == "" {
				return err
			}
			return out.add(languagePackage("pypi", name, ver))
		},
	}
}

// parseMetadata reads name and version from the headers of a package's core
// metadata; the description that follows them is not looked at.
func parseMetadata(r io.Reader) (name, ver string, err error) {
	err = lines(r, func(line string) error {
		if line == "" {
			return io.EOF
		}
		key, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(key, "Name") && name == "":
			name = strings.TrimSpace(value)
		case strings.EqualFold(key, "Version") && ver == "":
			ver = strings.TrimSpace(value)
		}
		if name != "" && ver != "" {
			return io.EOF
		}
		return nil
	})
	if err == io.EOF {
		err = nil
	}
	return name, ver, err
}
