package lang

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"io/fs"
	"runtime/debug"
	"strings"

	"oriel/index/reader"
)

func goReader() reader.Reader {
	return reader.Reader{
		Name: "go", Version: 2, Limit: 2 << 30, Repository: "go",
		Wants: func(_ string, mode fs.FileMode) bool { return mode&0o111 != 0 },
		Magic: isExecutable,
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			info, err := buildinfo.Read(f)
			if err != nil {
				return nil // a program in another language
			}
			// "go1.21.3 X:boringcrypto"
			std, _, _ := strings.Cut(info.GoVersion, " ")
			if err := out.Add(reader.LanguagePackage("go", "stdlib", std)); err != nil {
				return err
			}
			if err := out.Add(reader.LanguagePackage("go", info.Main.Path, info.Main.Version)); err != nil {
				return err
			}
			for _, d := range info.Deps {
				if r := d.Replace; r != nil && isDirectory(r) {
					if err := out.AddUnmatched(d.Path, d.Version, "it is replaced by the directory "+reader.Cut(r.Path)); err != nil {
						return err
					}
					continue
				} else if r != nil {
					d = r
				}
				if err := out.Add(reader.LanguagePackage("go", d.Path, d.Version)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// isDirectory reports whether a replacement is a directory, which has no
// version that says anything.
func isDirectory(m *debug.Module) bool {
	return m.Version == "" || m.Version == "(devel)" || strings.HasPrefix(m.Path, ".") || strings.HasPrefix(m.Path, "/")
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
