package system

import (
	"context"
	"io"
	"io/fs"
	"path"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// dpkgDirs are where dpkg keeps its database: its own directory, and those to
// which image builders move it, leaving a link. Nothing writes to it.
var dpkgDirs = []string{"var/lib/dpkg", "usr/lib/sysimage/dpkg", "usr/share/dpkg/database"}

// dpkgPath splits a path in one of dpkg's directories into the first part
// below the directory and the rest; ok is false for any other path.
func dpkgPath(p string) (first, rest string, ok bool) {
	for _, dir := range dpkgDirs {
		if below, in := strings.CutPrefix(p, dir+"/"); in {
			first, rest, _ = strings.Cut(below, "/")
			return first, rest, true
		}
	}
	return "", "", false
}

// Dpkg returns the reader of dpkg's database: the file status, and status.d
// with one file for each package in images that are built without dpkg
// ("distroless").
func Dpkg() reader.Reader {
	r := reader.Reader{
		Name: "dpkg", Version: 2, Limit: 256 << 20, Database: true,
		Wants: func(p string, _ fs.FileMode) bool {
			switch first, rest, _ := dpkgPath(p); first {
			case "status":
				return rest == ""
			case "status.d":
				return rest != "" && !strings.Contains(rest, "/") && path.Ext(rest) != ".md5sums"
			}
			return false
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error { return parseDpkg(f.Stream(), out) },
	}
	for _, dir := range dpkgDirs {
		r.Paths = append(r.Paths, dir+"/status")
	}
	return r
}

// dpkgFilesReader reads the lists of the files that dpkg's packages installed.
func dpkgFilesReader() reader.Reader {
	return reader.Reader{
		Name: "dpkg-files", Version: 2, Limit: 64 << 20,
		Wants: func(p string, _ fs.FileMode) bool {
			first, _, _ := dpkgPath(p)
			return first == "info" && path.Ext(p) == ".list" || first == "status.d" && path.Ext(p) == ".md5sums"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			return reader.Lines(f.Stream(), func(line string) error {
				if path.Ext(f.Path) == ".md5sums" {
					_, line, _ = strings.Cut(line, "  ")
				}
				out.Owned(line)
				return nil
			})
		},
	}
}

// parseDpkg reads a dpkg status file, which is in paragraphs of "Key: value"
// lines (deb822(5)).
func parseDpkg(r io.Reader, out *reader.Found) error {
	paragraph := map[string]string{}
	some := false
	flush := func() error {
		defer clear(paragraph)
		some = some || paragraph["Package"] != ""
		return out.Add(dpkgPackage(paragraph))
	}
	blank := true
	err := reader.Lines(r, func(line string) error {
		if strings.TrimSpace(line) == "" {
			return flush()
		}
		blank = false
		key, value, ok := strings.Cut(line, ":")
		if line[0] == ' ' || line[0] == '\t' {
			return nil // goes on with a value of several lines, none of which matter
		}
		if !ok {
			return clair.Invalid("dpkg", "%.60q is not KEY: VALUE", line)
		}
		switch key {
		case "Package", "Status", "Version", "Architecture", "Source":
			paragraph[key] = strings.TrimSpace(value)
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err == nil && !some && !blank {
		err = clair.Invalid("dpkg", "no paragraph names a package")
	}
	return err
}

// dpkgPackage makes the package of a paragraph; it has no name where the
// paragraph's package is not there, such as one of which only configuration
// files are left.
func dpkgPackage(p map[string]string) clair.Package {
	switch state := strings.Fields(p["Status"]); {
	case p["Package"] == "" || p["Version"] == "":
		return clair.Package{}
	case len(state) == 3 && (state[2] == "not-installed" || state[2] == "config-files" || state[2] == "half-installed"):
		return clair.Package{}
	}
	out := clair.Package{Name: p["Package"], Version: p["Version"], Arch: p["Architecture"], Kind: clair.Binary}
	src := &clair.Package{Name: out.Name, Version: out.Version, Kind: clair.Source}
	// "Source: glibc (2.36-9)", the version only where it is another.
	if name, version, _ := strings.Cut(p["Source"], "("); name != "" {
		src.Name = strings.TrimSpace(name)
		if version = strings.TrimSpace(strings.TrimSuffix(version, ")")); version != "" {
			src.Version = version
		}
	}
	out.Source = src
	return out
}
