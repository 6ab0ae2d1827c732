package app

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// Version returns the module's version, which Go derives from the commit's tag
// or, if there is none, from its time and hash.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// Build returns the version and a description of the build.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version()
	}
	return Version() + " (" + describeBuild(info) + ")"
}

// describeBuild names the commit, if it is known, the version of Go and the
// platform.
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
