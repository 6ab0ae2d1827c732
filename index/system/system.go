// Package system reads a distribution's records of itself: the package
// databases of dpkg and apk, the lists of the files that their packages
// installed, and the files that name the release.
package system

import "oriel/index/reader"

// Readers returns the readers of this package.
func Readers() []reader.Reader {
	return []reader.Reader{osReleaseReader(), releaseFileReader(), Dpkg(), dpkgFilesReader(), chiselReader(), Apk()}
}
