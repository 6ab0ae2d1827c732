// Prints the pairs "A OP B" with which golang.org/x/mod/semver disagrees. The
// toolchain's spelling, go1.21rc2, is not one of its versions.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/semver"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if strings.HasPrefix(f[0], "go") || strings.HasPrefix(f[2], "go") {
			continue
		}
		a, b := "v"+strings.TrimPrefix(f[0], "v"), "v"+strings.TrimPrefix(f[2], "v")
		if !semver.IsValid(a) || !semver.IsValid(b) || semver.Compare(a, b) != map[string]int{"<": -1, "=": 0}[f[1]] {
			fmt.Println(lines.Text())
		}
	}
}
