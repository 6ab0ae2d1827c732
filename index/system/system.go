// Package system reads what a distribution keeps about itself: the package
// databases of dpkg and apk, the lists of the files that their packages
// installed, and the files that name the release.
package system

import (
	"slices"

	"oriel/index/reader"
)

// Readers returns the readers of this package.
func Readers() []reader.Reader {
	return []reader.Reader{osReleaseReader(), releaseFileReader(), Dpkg(), dpkgFilesReader(), Apk()}
}

// DatabasePaths returns the paths of the package databases.
func DatabasePaths() []string {
	return slices.Concat([]string{dpkgStatus, dpkgStatusDir + "/x"}, apkPaths)
}
