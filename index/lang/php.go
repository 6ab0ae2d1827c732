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

// composerReader reads the packages that PHP's Composer has locked or installed.
func composerReader() reader.Reader {
	return reader.Reader{
		Name: "composer", Version: 2, Limit: 16 << 20, Repository: "packagist", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool {
			base := path.Base(p)
			return base == "composer.lock" || base == "installed.json" && path.Base(path.Dir(p)) == "composer"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			var lock struct {
				// Packages for development alone have another list.
				Packages []composerPackage
			}
			into := any(&lock)
			if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
				into = &lock.Packages // installed.json of Composer 1
			}
			if err := json.Unmarshal(text, into); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			for _, p := range lock.Packages {
				version := strings.TrimPrefix(p.Version, "v")
				if from := p.privateOrigin(); from != "" {
					if err := out.AddUnmatched(p.Name, version, reader.NotPublic(from)); err != nil {
						return err
					}
					continue
				}
				if err := out.Add(reader.LanguagePackage("packagist", p.Name, version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

type composerPackage struct {
	Name, Version string
	Source, Dist  *struct{ Type, URL string }
	// Notification is an address at the repository of the package.
	Notification string `json:"notification-url"`
}

// privateOrigin returns the address that a package comes from if that is not
// Packagist, else "". A package from a version control system or a directory
// has no address for notifications, as those of Packagist have.
func (p composerPackage) privateOrigin() string {
	switch {
	case p.Notification != "" && !reader.IsPublic("packagist", p.Notification):
		return p.Notification
	case p.Notification != "":
		return ""
	case p.Source != nil && p.Source.URL != "":
		return p.Source.URL
	case p.Dist != nil:
		return p.Dist.URL
	}
	return ""
}
