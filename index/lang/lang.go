// Package lang reads the packages of programming languages from the files
// that their package managers install or lock: one file a format.
package lang

import (
	"oriel/index/reader"
)

// Readers returns the readers of all formats.
func Readers() []reader.Reader {
	return []reader.Reader{
		goReader(), pythonReader(), nodeReader(), nodeLockReader(), javaReader(), rubyReader(), rustReader(),
		composerReader(),
	}
}
