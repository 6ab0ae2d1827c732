package index

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// readers are the parts that turn bytes into packages, each with the version
// of what it finds. Nothing writes to it.
var readers = []string{"ready/1"}

// State names the readers and their versions. Clients index everything again
// when it changes, so it is the same on every machine and after every restart.
func State() string {
	sum := sha256.Sum256([]byte(strings.Join(readers, "\n")))
	return hex.EncodeToString(sum[:16])
}
