package lang

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"oriel/index/reader"
)

func pythonReader() reader.Reader {
	return reader.Reader{
		Name: "python", Version: 2, Limit: 16 << 20, Repository: "pypi", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			dir, base := path.Split(p)
			switch base {
			case "METADATA":
				return strings.HasSuffix(dir, ".dist-info/")
			case "PKG-INFO":
				return strings.HasSuffix(dir, ".egg-info/") || strings.HasSuffix(dir, "EGG-INFO/")
			}
			return strings.HasSuffix(base, ".egg-info")
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			name, ver, err := parseMetadata(f.Stream())
			if err != nil || name == "" || ver == "" {
				return err
			}
			return out.Add(reader.LanguagePackage("pypi", name, ver))
		},
	}
}

// pythonOriginReader reads the origin of a package, which pip records if it is
// not an index: a version control system or a directory. An archive is that of an
// index in most cases, downloaded before.
func pythonOriginReader() reader.Reader {
	return reader.Reader{
		Name: "python-origin", Version: 1, Limit: 1 << 20,
		Wants: func(p string, _ fs.FileMode) bool { return strings.HasSuffix(p, ".dist-info/direct_url.json") },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var from struct {
				URL string           `json:"url"`
				VCS *json.RawMessage `json:"vcs_info"`
				Dir *json.RawMessage `json:"dir_info"`
			}
			if err := reader.DecodeJSON(f, &from); err != nil {
				return err
			}
			if from.VCS != nil || from.Dir != nil {
				out.Private(path.Join(path.Dir(f.Path), "METADATA"), reader.NotPublic(from.URL))
			}
			return nil
		},
	}
}

// parseMetadata reads name and version from the headers of a package's core
// metadata, which end at the first empty line.
func parseMetadata(r io.Reader) (name, ver string, err error) {
	err = reader.Lines(r, func(line string) error {
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
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return name, ver, err
}
