//go:build !windows

package sqlitedb

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// DiskFree returns how many bytes a user can still write to the file system of
// a directory.
func DiskFree(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("ask how much of the disk is free: %w", err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
