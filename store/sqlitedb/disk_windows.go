package sqlitedb

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// DiskFree returns how many bytes a user can still write to the file system of
// a directory.
func DiskFree(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, fmt.Errorf("ask how much of the disk is free: %w", err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("ask how much of the disk is free: %w", err)
	}
	return int64(free), nil
}
