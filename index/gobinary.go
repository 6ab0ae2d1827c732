package index

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"io/fs"
	"strings"

	"oriel/clair"
	"oriel/internal/version"
)

func goReader() reader {
	return reader{
		name: "go", version: 1, limit: 2 << 30, repository: "go",
		wants: func(_ string, mode fs.FileMode) bool { return mode&0o111 != 0 },
		magic: isExecutable,
		read: func(_ context.Context, f *file, out *found) error {
			info, err := buildinfo.Read(f)
			if err != nil {
				return nil // a program in another language
			}
			// "go1.21.3 X:boringcrypto"
			std, _, _ := strings.Cut(info.GoVersion, " ")
			if err := out.add(languagePackage("go", "stdlib", std)); err != nil {
				return err
			}
			if err := out.add(languagePackage("go", info.Main.Path, info.Main.Version)); err != nil {
				return err
			}
			for _, d := range info.Deps {
				if d.Replace != nil && d.Replace.Version != "" {
					d = d.Replace
				}
				if err := out.add(languagePackage("go", d.Path, d.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// isExecutable knows ELF, PE and Mach-O by their first bytes.
func isExecutable(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// languagePackage makes a package of a language's ecosystem.
func languagePackage(ecosystem, name, ver string) clair.Package {
	p := clair.Package{Name: name, Version: ver, Kind: clair.Binary}
	if n, ok := version.Normalize(version.Scheme(ecosystem), ver); ok {
		p.NormalizedVersion = n.String()
	}
	return p
}
