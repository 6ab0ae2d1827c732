package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseRubyGems treats a dash as the start of a pre-release, as Gem::Version
// does: 1.0-alpha is 1.0.pre.alpha. The platform of a gem, which inventories
// write after its version, is not a pre-release: 1.13.6-x86_64-linux.
func parseRubyGems(s string) (semantic.Version, error) {
	if release, label, ok := strings.Cut(s, "-"); ok && isGemPlatform(label) {
		s = release
	}
	if !gemVersion.MatchString(s) {
		return nil, errSyntax()
	}
	return semantic.ParseRubyGemsVersion(strings.ReplaceAll(s, "-", ".pre.")), nil
}

// gemPlatforms are the processors and systems that begin a platform
// (Gem::Platform). Nothing writes to it.
var gemPlatforms = []string{
	"java", "jruby", "dalvik", "dotnet", "macruby", "ruby", "truffleruby", "universal", "x86_64", "x86", "x64", "i386", "i486", "i586", "i686",
	"arm64", "aarch64", "arm", "armv5", "armv6", "armv6hf", "armv6l", "armv7", "armv7l", "armv8", "powerpc", "ppc", "ppc64", "ppc64le", "powerpc64le", "s390x", "riscv64",
	"loongarch64", "sparc", "sparc64", "mips", "mips64", "mswin", "mswin32", "mswin64", "mingw", "mingw32", "mingw64", "linux", "darwin",
	"freebsd", "openbsd", "netbsd", "solaris", "cygwin", "aix",
}

func isGemPlatform(s string) bool {
	first, _, _ := strings.Cut(s, "-")
	for _, p := range gemPlatforms {
		if first == p {
			return true
		}
	}
	return false
}
