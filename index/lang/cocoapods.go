package lang

import (
	"context"
	"io/fs"
	"path"
	"regexp"

	"oriel/index/reader"
)

// pod is a line of a Podfile.lock: "  - NAME (VERSION):".
var pod = regexp.MustCompile(`^  - "?([^ "]+) \(([^)]+)\)"?:?$`)

// cocoapodsReader reads the packages that CocoaPods has locked.
func cocoapodsReader() reader.Reader {
	return reader.Reader{
		Name: "cocoapods", Version: 1, Limit: 8 << 20, Repository: "cocoapods",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "Podfile.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			section := ""
			return reader.Lines(f.Stream(), func(line string) error {
				if line != "" && line[0] != ' ' {
					section = line
				}
				if m := pod.FindStringSubmatch(line); m != nil && section == "PODS:" {
					return out.Add(reader.LanguagePackage("cocoapods", m[1], m[2]))
				}
				return nil
			})
		},
	}
}
