package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"oriel/index/rpm"
	"oriel/index/system"
)

// notFiles are the directories of a running system's root that hold no files
// of packages. Nothing writes to it.
var notFiles = []string{"proc", "sys", "dev", "run"}

// ScanRoot reads the packages in a directory tree, such as a host's root or an
// unpacked image. Links are not followed. What may not be read is listed in
// the result, but for package databases, where it is an error.
func ScanRoot(ctx context.Context, root fs.FS, tempDir string) (*LayerResult, error) {
	s := newScanner("", tempDir)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && name == ".":
			return err
		case err != nil:
			if holdsDatabase(name) {
				return err
			}
			s.skip(name, err)
			return fs.SkipDir
		case d.IsDir() && slices.Contains(notFiles, name):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return s.rootFile(ctx, root, name, d)
	})
	if err != nil {
		return nil, fmt.Errorf("scan the directory: %w", err)
	}
	return s.finish(), nil
}

func (s *scanner) rootFile(ctx context.Context, root fs.FS, name string, d fs.DirEntry) error {
	// Executables are wanted by their mode, which costs a call to the system
	// for each file that nobody wants by its name.
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went while the tree was read
	}
	if err != nil {
		s.skip(name, err)
		return nil
	}
	r := s.wanted(name, info.Mode())
	if r == nil {
		return nil
	}
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if r.Database {
			return err
		}
		s.skip(name, err)
		return nil
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // it became something else
	}
	return s.file(ctx, r, rawFile{name, info.Size(), f})
}

// holdsDatabase says whether a directory is one of those that package
// databases are in, or above one.
func holdsDatabase(dir string) bool {
	for _, p := range databasePaths {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

// databasePaths are where distributions keep their package databases. Nothing
// writes to it.
var databasePaths = slices.Concat(system.DatabasePaths(), rpm.Paths())
