package lang

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// composerReader reads what PHP's Composer has locked or installed.
func composerReader() reader.Reader {
	return reader.Reader{
		Name: "composer", Version: 1, Limit: 16 << 20, Repository: "packagist", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			return path.Base(p) == "composer.lock" || strings.HasSuffix("/"+p, "/composer/installed.json")
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			var lock struct {
				// What is only for development has a list of its own.
				Packages []struct{ Name, Version string }
			}
			into := any(&lock)
			if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
				into = &lock.Packages // installed.json of Composer 1
			}
			if err := json.Unmarshal(text, into); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			for _, p := range lock.Packages {
				if err := out.Add(reader.LanguagePackage("packagist", p.Name, strings.TrimPrefix(p.Version, "v"))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
