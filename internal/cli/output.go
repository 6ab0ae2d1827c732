package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// standard stands for standard input or output in place of a file's name.
const standard = "-"

// writeWhole writes a file so that it either has the whole content or is left
// as it was: the content goes to a temporary file next to it, which is then
// renamed. Pipes, devices and the files in /dev and /proc are written directly;
// "-" and /dev/stdout are standard output.
func (o *oriel) writeWhole(name string, write func(io.Writer) error) error {
	switch name {
	case standard, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return write(o.stdout)
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		return write(o.stderr)
	}
	if err := writeFile(name, write); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) error {
	target, direct, err := linkTarget(name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	// The system follows links that lead to no name, too, such as
	// /dev/stdout to a pipe.
	info, err := os.Stat(name)
	switch {
	case err != nil && (direct || !errors.Is(err, fs.ErrNotExist)):
		return err
	case err == nil && (direct || !info.Mode().IsRegular()):
		return writeDirectly(name, write)
	case err == nil:
		mode = info.Mode().Perm()
	}
	return replaceFile(target, mode, write)
}

// maxLinks is the length of the longest chain of symbolic links, as in Linux.
const maxLinks = 40

// linkTarget returns the name at the end of a chain of symbolic links, of which
// there need not be a file. direct reports whether the chain leads through /dev
// or /proc, where nothing may be replaced.
func linkTarget(name string) (target string, direct bool, err error) {
	if name, err = filepath.Abs(name); err != nil {
		return "", false, err
	}
	for range maxLinks {
		direct = direct || strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/")
		info, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Type() != fs.ModeSymlink {
			return name, direct, nil
		}
		if err != nil {
			return "", false, err
		}
		next, err := os.Readlink(name)
		if err != nil {
			return "", false, err
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(name), next)
		}
		name = filepath.Clean(next)
	}
	return "", false, errors.New("too many symbolic links")
}

// replaceFile writes a temporary file and renames it, or removes it.
func replaceFile(name string, mode fs.FileMode, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	if err = write(tmp); err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// writeDirectly appends to what cannot be replaced.
func writeDirectly(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
