// Package lang reads the packages of programming languages from the files
// that their package managers install or lock: one file a format.
package lang

import (
	"oriel/index/reader"
)

// Readers returns the readers of all formats. The one that wants every
// executable is the last.
func Readers() []reader.Reader {
	return []reader.Reader{
		pythonReader(), pythonOriginReader(), nodeReader(), nodeLockReader(), nodeHiddenReader(), javaReader(), rubyReader(), rustReader(),
		composerReader(), dotnetReader(), swiftReader(), dartReader(), elixirReader(), rReader(), rLockReader(), juliaReader(), conanReader(),
		cocoapodsReader(), haskellReader(), actionsReader(), goReader(),
	}
}
