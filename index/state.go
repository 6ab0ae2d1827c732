package index

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// partVersions are the parts that decide about reports in addition to the
// readers, with their versions: raise one when the same input results in
// another report than before. Nothing writes to it.
var partVersions = []string{"ready/2", "coalesce/2", "sbom/2"}

// State identifies the readers and their versions. Clients index everything
// again when it changes, so it is the same on every machine and after every
// restart.
func State() string {
	names := slices.Clone(partVersions)
	for _, r := range readers() {
		names = append(names, fmt.Sprintf("%s/%d", r.Name, r.Version))
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	return hex.EncodeToString(sum[:16])
}
