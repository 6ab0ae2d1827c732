package index

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
)

// What a file says of the distribution counts less the higher its rank.
const (
	rankOSRelease = iota
	rankVendorOSRelease
	rankHearsay
)

const (
	osRelease       = "etc/os-release"
	vendorOSRelease = "usr/lib/os-release"
)

func osReleaseReader() reader {
	return reader{
		name: "os-release", version: 1, limit: 64 << 10,
		wants: func(p string, _ fs.FileMode) bool { return p == osRelease || p == vendorOSRelease },
		read: func(_ context.Context, f *file, out *found) error {
			d, err := parseOSRelease(f.stream())
			if err != nil || d.DID == "" && d.Name == "" {
				return err
			}
			out.dist = d
			if f.path == vendorOSRelease {
				out.rank = rankVendorOSRelease
			}
			return nil
		},
	}
}

// parseOSRelease reads an os-release file (freedesktop.org os-release(5)).
func parseOSRelease(r io.Reader) (*clair.Distribution, error) {
	d := &clair.Distribution{}
	fields := map[string]*string{
		"ID": &d.DID, "NAME": &d.Name, "VERSION": &d.Version, "VERSION_ID": &d.VersionID,
		"VERSION_CODENAME": &d.VersionCodeName, "PRETTY_NAME": &d.PrettyName, "CPE_NAME": &d.CPE,
	}
	err := lines(r, func(line string) error {
		key, value, ok := strings.Cut(line, "=")
		if field := fields[key]; ok && field != nil && len(value) <= maxWord {
			*field = unquote(value)
		}
		return nil
	})
	if err := readyCPE("os-release", &d.CPE); err != nil {
		d.CPE = "" // what is no CPE names nothing
	}
	return d, err
}

// unquote takes the quotes of a shell off a value.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s
	}
	quote, s := s[0], s[1:len(s)-1]
	if quote == '\'' || !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// releaseFiles are files of systems that are older than os-release, or come
// without it. Nothing writes to it.
var releaseFiles = []string{
	"etc/alpine-release", "etc/redhat-release", "etc/centos-release", "etc/oracle-release", "etc/system-release",
	"etc/SuSE-release", "etc/photon-release",
}

func releaseFileReader() reader {
	return reader{
		name: "release-file", version: 1, limit: 4 << 10,
		wants: func(p string, _ fs.FileMode) bool { return slices.Contains(releaseFiles, p) },
		read: func(_ context.Context, f *file, out *found) error {
			text, err := f.whole()
			if err != nil {
				return err
			}
			line, _, _ := strings.Cut(string(text), "\n")
			if d := distributionOf(f.path, strings.TrimSpace(line)); d != nil {
				out.dist, out.rank = d, rankHearsay+slices.Index(releaseFiles, f.path)
			}
			return nil
		},
	}
}

// releaseLine is the line of a release file, such as "CentOS release 6.10
// (Final)".
var releaseLine = regexp.MustCompile(`^(.*?)(?: Linux)?(?: release)?(?: Server)? (\d[\w.]*)`)

// distributionOf makes the distribution of a release file's first line; nil
// where nobody knows it.
func distributionOf(name, line string) *clair.Distribution {
	if name == "etc/alpine-release" {
		line = "Alpine Linux " + line
	}
	r, ok := clair.ReleaseByName(line)
	if m := releaseLine.FindStringSubmatch(line); !ok && m != nil {
		r, ok = clair.ReleaseByName(m[1] + " " + m[2])
	}
	if !ok {
		return nil
	}
	return r.Distribution()
}

// maxLine is the longest line that is read from any of the text formats; apk
// and dpkg have lines of some ten kilobytes.
const maxLine = 1 << 20

// lines gives the lines of a text without their ends.
func lines(r io.Reader, each func(line string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 8<<10), maxLine)
	for s.Scan() {
		if err := each(strings.TrimSuffix(s.Text(), "\r")); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	return nil
}
