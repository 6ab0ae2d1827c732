package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// standard stands for standard input or output in place of a file's name.
const standard = "-"

// writeWhole writes a file so that it either has the whole content or is left
// as it was: the content goes to a temporary file next to it, which is then
// renamed. A name that is not a regular file, such as a pipe or /dev/stdout,
// is written directly, and "-" is standard output.
func (o *oriel) writeWhole(name string, write func(io.Writer) error) (err error) {
	if name == standard {
		return write(o.stdout)
	}
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(name); err == nil {
		info, err := os.Stat(target)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if !info.Mode().IsRegular() {
			return writeDirectly(name, write)
		}
		name, mode = target, info.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err = write(tmp); err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

func writeDirectly(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return errors.Join(write(f), f.Close())
}
