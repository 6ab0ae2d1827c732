package index

import (
	"slices"

	"oriel/index/lang"
	"oriel/index/reader"
	"oriel/index/redhat"
	"oriel/index/rpm"
	"oriel/index/system"
)

// readers returns the readers of all package formats. The first that wants a
// file gets it.
func readers() []reader.Reader {
	return slices.Concat(system.Readers(), []reader.Reader{rpm.Reader()}, redhat.Readers(), lang.Readers())
}
