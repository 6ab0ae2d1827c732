package lang

import (
	"context"
	"io/fs"
	"path"
	"regexp"

	"oriel/index/reader"
)

// The entries of a mix.lock: {:hex, :NAME, "VERSION", …, "hexpm", …} for
// packages of Hex, where the last text names the organization, too, and
// {:git, "ADDRESS", "REVISION", …}.
var (
	hexEntry  = regexp.MustCompile(`(?m)^\s*"[^"]+": ?\{:hex, :"?([\w.-]+)"?, "([^"]+)"`)
	hexOrigin = regexp.MustCompile(`\], "(hexpm[^"]*|[^"]+)", "[0-9a-f]{64}"\}`)
	gitEntry  = regexp.MustCompile(`(?m)^\s*"([^"]+)": ?\{:git, "([^"]+)", "([^"]+)"`)
)

// elixirReader reads the packages that Elixir's Mix has locked.
func elixirReader() reader.Reader {
	return reader.Reader{
		Name: "elixir", Version: 1, Limit: 8 << 20, Repository: "hex",
		Wants: func(p string, _ fs.FileMode) bool { return path.Base(p) == "mix.lock" },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			return reader.Lines(f.Stream(), func(line string) error {
				if m := gitEntry.FindStringSubmatch(line); m != nil {
					return out.AddUnmatched(m[1], m[3], reader.NotPublic(m[2]))
				}
				m := hexEntry.FindStringSubmatch(line)
				if m == nil {
					return nil
				}
				if origin := hexOrigin.FindStringSubmatch(line); origin != nil && origin[1] != "hexpm" {
					return out.AddUnmatched(m[1], m[2], reader.NotPublic(origin[1]))
				}
				return out.Add(reader.LanguagePackage("hex", m[1], m[2]))
			})
		},
	}
}
