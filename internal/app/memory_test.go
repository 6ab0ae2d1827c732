package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Go's limit is the memory that the rest of the process leaves, at most its
// share and at least half of it.
func TestGoShare(t *testing.T) {
	const limit, most = 128 << 20, 88 << 20
	for rest, want := range map[int64]int64{
		0: most, 26 << 20: most, 40 << 20: 74 << 20, 60 << 20: 54 << 20, 100 << 20: most / 2, 1 << 40: most / 2,
	} {
		require.Equal(t, want, goShare(limit, rest, most), "%d MiB", rest>>20)
	}
}
