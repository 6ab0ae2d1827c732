package version

import "strings"

// Shown returns a version as people write it: without the epoch 0, which is the
// same as none.
func Shown(s string) string {
	if rest, ok := strings.CutPrefix(s, "0:"); ok && rest != "" {
		return rest
	}
	return s
}
