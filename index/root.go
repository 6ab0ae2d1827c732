package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// skippedDirectories are directories of a running system's root that do not
// hold the system's own packages: views of the kernel, storage of containers
// and virtual machines, snapshots, and other systems. A "*" stands for one
// name. Nothing writes to it.
var skippedDirectories = []string{
	"proc", "sys", "dev", "run", ".snapshots", ".zfs", "snap", "sysroot/ostree", "ostree", "timeshift",
	"home/.snapshots", "root/.local/share/containers", "home/*/.local/share/containers", "home/*/.local/share/docker",
	"var/lib/containerd", "var/lib/containers", "var/lib/docker", "var/lib/docker-engine", "var/lib/buildkit", "var/lib/crio",
	"var/lib/kubelet/pods", "var/lib/rancher/k3s/agent/containerd", "var/lib/rancher/rke2/agent/containerd",
	"var/lib/k0s/containerd", "var/lib/lxc", "var/lib/lxd", "var/lib/incus", "var/lib/libvirt", "var/lib/machines", "var/lib/mock",
	"var/lib/schroot", "var/lib/snapd", "var/lib/portables", "var/snap", "var/cache/pbuilder", "var/snapshots", "var/.snapshots",
}

// isSkipped reports whether a directory of a root is one of those.
func isSkipped(dir string) bool {
	return slices.ContainsFunc(skippedDirectories, func(skipped string) bool {
		if before, after, ok := strings.Cut(skipped, "*"); ok {
			rest, in := strings.CutPrefix(dir, before)
			_, below, deeper := strings.Cut(rest, "/")
			return in && deeper && "/"+below == after
		}
		return dir == skipped
	})
}

// inSkipped reports whether a path is in a directory that is skipped.
func inSkipped(path string) bool {
	for i, c := range path {
		if c == '/' && isSkipped(path[:i]) {
			return true
		}
	}
	return false
}

// ScanRoot reads the packages in a directory tree, such as a host's root or an
// unpacked image. Symbolic links are not followed, except those by which a
// package database or an os-release file is reached; these cannot leave the
// tree. A file or directory that cannot be read is listed in the result; a
// package database that cannot be read is an error.
func ScanRoot(ctx context.Context, root fs.FS, tempDir string) (*LayerResult, error) {
	s := newScanner("", tempDir)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && name == ".":
			return err
		case err != nil:
			if s.holdsDatabase(name) {
				return err
			}
			s.skip(name, err)
			return fs.SkipDir
		case d.IsDir() && isSkipped(name):
			return fs.SkipDir
		case d.Type() == fs.ModeSymlink:
			s.rootLink(root, name)
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		return s.rootFile(ctx, root, name, d)
	})
	if err == nil {
		err = s.rootTargets(ctx, root)
	}
	if err != nil {
		return nil, fmt.Errorf("scan the directory: %w", err)
	}
	return s.finish(), nil
}

func (s *scanner) rootFile(ctx context.Context, root fs.FS, name string, d fs.DirEntry) error {
	// Whether a file is executable costs a system call for each file that no
	// reader wants by its name.
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed while the tree was read
	}
	if err != nil {
		s.skip(name, err)
		return nil
	}
	if s.wanted(name, info.Mode()) == nil {
		return nil
	}
	return s.openRootFile(ctx, root, name, "")
}

// openRootFile reads a file of a tree; as is the path at which a link makes it
// available, "" if none.
func (s *scanner) openRootFile(ctx context.Context, root fs.FS, name, as string) error {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	wanted, mode := name, fs.FileMode(0)
	if as != "" {
		wanted, mode = as, linkMode
	}
	if err != nil {
		if r := s.wanted(wanted, mode); r != nil && r.Database {
			return err
		}
		s.skip(name, err)
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if as == "" {
		mode = info.Mode()
	}
	r := s.wanted(wanted, mode)
	if r == nil || !info.Mode().IsRegular() {
		return nil // it became another file meanwhile
	}
	return s.file(ctx, r, rawFile{path: name, as: as, size: info.Size(), body: f})
}

// rootLink records a symbolic link.
func (s *scanner) rootLink(root fs.FS, name string) {
	if !s.links.relevant[name] {
		return
	}
	if target, err := fs.ReadLink(root, name); err == nil {
		s.links.addSymlink(name, target)
	}
}

// rootTargets reads the files that links lead to. Links above these files may
// not have been seen in the order of the tree, so they are looked up.
func (s *scanner) rootTargets(ctx context.Context, root fs.FS) error {
	for range maxPasses {
		for _, name := range s.links.unseen() {
			s.rootLink(root, name)
		}
		if !s.again() {
			return nil
		}
		for target, wanted := range s.aliases {
			if err := s.openRootFile(ctx, root, target, wanted); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsDatabase reports whether a directory is above a package database.
func (s *scanner) holdsDatabase(dir string) bool {
	for _, r := range s.readers {
		if r.Database && slices.ContainsFunc(r.Paths, func(p string) bool { return strings.HasPrefix(p, dir+"/") }) {
			return true
		}
	}
	return false
}
