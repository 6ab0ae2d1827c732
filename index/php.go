package index

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"oriel/clair"
)

// composerReader reads what PHP's Composer has locked or installed.
func composerReader() reader {
	return reader{
		name: "composer", version: 1, limit: 16 << 20, repository: "packagist", ownable: true,
		wants: func(p string, _ fs.FileMode) bool {
			return path.Base(p) == "composer.lock" || strings.HasSuffix("/"+p, "/composer/installed.json")
		},
		read: func(_ context.Context, f *file, out *found) error {
			text, err := f.whole()
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
				if err := out.add(languagePackage("packagist", p.Name, strings.TrimPrefix(p.Version, "v"))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
