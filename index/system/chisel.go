package system

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/internal/fetch"
)

const (
	chiselManifest = "var/lib/chisel/manifest.wall"
	// maxChisel bounds the manifest when it is decompressed.
	maxChisel = 256 << 20
)

// chiselReader reads the packages of an image that chisel has cut from Ubuntu
// (github.com/canonical/chisel, "jsonwall"). They cannot be matched: Ubuntu's
// advisories name source packages, which the manifest does not have.
func chiselReader() reader.Reader {
	return reader.Reader{
		Name: "chisel", Version: 1, Limit: 32 << 20,
		Wants: func(p string, _ fs.FileMode) bool { return p == chiselManifest },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			plain, err := fetch.Decompress(f.Stream())
			if err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			defer plain.Close()
			lines := bufio.NewScanner(fetch.Limit(plain, maxChisel))
			for lines.Scan() {
				var entry struct{ Kind, Name, Version string }
				if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
					return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
				}
				if entry.Kind != "package" {
					continue
				}
				if err := out.AddUnmatched(entry.Name, entry.Version, "chisel does not record the source package, which Ubuntu's advisories name"); err != nil {
					return err
				}
			}
			if err := lines.Err(); err != nil {
				return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
			}
			return nil
		},
	}
}
