package app

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// Version is the module's version. Go derives it from the commit's tag, or its
// time and hash where there is none.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// Build is the version and what it was built from.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version()
	}
	return Version() + " (" + describeBuild(info) + ")"
}

// describeBuild names the commit, as far as the build knew it, and what for
// and with what it was built.
func describeBuild(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	parts := []string{"commit unknown"}
	if rev := set["vcs.revision"]; rev != "" {
		parts[0] = "commit " + rev
		if set["vcs.modified"] == "true" {
			parts[0] += ", modified"
		}
		if at := set["vcs.time"]; at != "" {
			parts = append(parts, at)
		}
	}
	return strings.Join(append(parts, info.GoVersion, set["GOOS"]+"/"+set["GOARCH"]), ", ")
}
