package lang

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"oriel/index/reader"
)

// dotnetReader reads the NuGet packages that a .NET program was published with
// from its NAME.deps.json. An installed runtime has such a file, too.
//
// Source: github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md.
func dotnetReader() reader.Reader {
	return reader.Reader{
		Name: "dotnet", Version: 1, Limit: 16 << 20, Repository: "nuget", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return strings.HasSuffix(p, ".deps.json") },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var deps struct {
				Libraries map[string]struct{ Type string }
			}
			if err := reader.DecodeJSON(f, &deps); err != nil {
				return err
			}
			for _, key := range slices.Sorted(maps.Keys(deps.Libraries)) {
				if err := addDotnet(key, deps.Libraries[key].Type, out); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// addDotnet adds the library of a key, NAME/VERSION. Projects are the program's
// own code, and references are files without a package.
func addDotnet(key, kind string, out *reader.Found) error {
	name, version, ok := strings.Cut(key, "/")
	if !ok || version == "" {
		return nil
	}
	switch kind {
	case "package":
	case "runtimepack":
		// The copy of the runtime in a self-contained program.
		name = strings.TrimPrefix(name, "runtimepack.")
	default:
		return nil
	}
	return out.Add(reader.LanguagePackage("nuget", name, version))
}
