package lang

import (
	"context"
	"io/fs"
	"path"
	"regexp"

	"oriel/index/reader"
)

// uses is a step of a workflow: "uses: OWNER/REPOSITORY[/PATH]@REFERENCE", where
// a comment may name the version of a commit.
var (
	uses   = regexp.MustCompile(`^\s*(?:- )?uses:\s*["']?([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@([\w./-]+)["']?(?:\s+#\s*(?:tag=)?(v?\d[\w.-]*))?`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// actionsReader reads the actions that the workflows of a repository use, if the
// repository is the root: those that packages bring along do not run there.
func actionsReader() reader.Reader {
	return reader.Reader{
		Name: "github-actions", Version: 1, Limit: 1 << 20, Repository: "github-actions",
		Wants: func(p string, _ fs.FileMode) bool {
			ext := path.Ext(p)
			return (ext == ".yml" || ext == ".yaml") && path.Dir(p) == ".github/workflows"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			return reader.Lines(f.Stream(), func(line string) error {
				m := uses.FindStringSubmatch(line)
				if m == nil {
					return nil
				}
				if commit.MatchString(m[2]) {
					if m[3] == "" {
						return out.AddUnmatched(m[1], m[2], "it is a commit, and no comment names its version")
					}
					m[2] = m[3]
				}
				return out.Add(reader.LanguagePackage("github-actions", m[1], m[2]))
			})
		},
	}
}
