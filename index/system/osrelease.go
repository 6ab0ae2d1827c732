package system

import (
	"context"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/internal/cpe"
	"oriel/internal/distro"
)

// The ranks of files that name the distribution: the lowest one counts.
const (
	rankOSRelease = iota
	rankVendorOSRelease
	RankInferred
)

const (
	osRelease       = "etc/os-release"
	vendorOSRelease = "usr/lib/os-release"
)

func osReleaseReader() reader.Reader {
	return reader.Reader{
		Name: "os-release", Version: 3, Limit: 64 << 10,
		Paths: []string{osRelease, vendorOSRelease},
		Wants: func(p string, _ fs.FileMode) bool { return p == osRelease || p == vendorOSRelease },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			d, err := parseOSRelease(f.Stream())
			if err != nil || d.DID == "" && d.Name == "" {
				return err
			}
			out.Distribution = d
			if f.Path == vendorOSRelease {
				out.Rank = rankVendorOSRelease
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
	parent := map[string]string{}
	err := reader.Lines(r, func(line string) error {
		key, value, ok := strings.Cut(line, "=")
		switch key {
		case "UBUNTU_CODENAME", "DEBIAN_CODENAME", "RHEL_VERSION":
			parent[key] = unquote(reader.Cut(value))
		}
		if field := fields[key]; ok && field != nil && len(value) <= reader.MaxWord {
			*field = unquote(value)
		}
		return nil
	})
	d.VersionCodeName = parentCodeName(d, parent)
	if name, err := cpe.Parse(d.CPE); err == nil {
		d.CPE = name.String()
	} else {
		d.CPE = ""
	}
	return d, err
}

// parentCodeName returns the code name of a release, or that of the release it
// is derived from if its os-release file has it: what a derivative calls its
// own release says nothing about its packages. Red Hat's CoreOS names a version
// of Red Hat Enterprise Linux, which becomes a code name such as "el9".
func parentCodeName(d *clair.Distribution, parent map[string]string) string {
	major, _, _ := strings.Cut(parent["RHEL_VERSION"], ".")
	switch {
	case parent["UBUNTU_CODENAME"] != "" && d.DID != "ubuntu":
		return parent["UBUNTU_CODENAME"]
	case parent["DEBIAN_CODENAME"] != "" && d.DID != "debian":
		return parent["DEBIAN_CODENAME"]
	case major != "" && d.VersionCodeName == "":
		return "el" + major
	}
	return d.VersionCodeName
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

func releaseFileReader() reader.Reader {
	return reader.Reader{
		Name: "release-file", Version: 1, Limit: 4 << 10,
		Wants: func(p string, _ fs.FileMode) bool { return slices.Contains(releaseFiles, p) },
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			text, err := f.Text()
			if err != nil {
				return err
			}
			line, _, _ := strings.Cut(string(text), "\n")
			if d := distributionOf(f.Path, strings.TrimSpace(line)); d != nil {
				out.Distribution, out.Rank = d, RankInferred+slices.Index(releaseFiles, f.Path)
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
	r, ok := distro.ReleaseByName(line)
	if m := releaseLine.FindStringSubmatch(line); !ok && m != nil {
		r, ok = distro.ReleaseByName(m[1] + " " + m[2])
	}
	if !ok {
		return nil
	}
	return r.Distribution()
}
