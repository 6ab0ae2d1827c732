// Package redhat reads what Red Hat's build systems leave in container images:
// the repositories that the packages were installed from, and the name and
// version under which the catalog lists the image itself.
//
// The repositories of an image decide which advisories are about its packages,
// as those of other products and of extended update support name the same
// packages. Clair fetches a table from names to CPEs; here the CPE is derived
// from the name, which is formed regularly, so that no network is needed. A
// name that is not understood is listed as unmatched.
package redhat

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/internal/cpe"
)

const (
	buildInfo  = "root/buildinfo/"
	sharedInfo = "usr/share/buildinfo/"
)

// Readers returns the readers of this package.
func Readers() []reader.Reader {
	return []reader.Reader{contentSetReader(), labelReader(), dockerfileReader()}
}

// contentSetReader reads the names of the repositories, which are called
// content sets.
func contentSetReader() reader.Reader {
	return reader.Reader{
		Name: "redhat-content-sets", Version: 1, Limit: 4 << 20,
		Wants: func(p string, _ fs.FileMode) bool {
			return p == sharedInfo+"content-sets.json" || strings.HasPrefix(p, buildInfo+"content_manifests/") && path.Ext(p) == ".json"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var manifest struct {
				ContentSets []string `json:"content_sets"`
			}
			if err := reader.DecodeJSON(f, &manifest); err != nil {
				return err
			}
			for _, name := range manifest.ContentSets {
				if uri := CPE(name); uri != "" {
					out.Repositories = append(out.Repositories, repository(uri, clair.RHELKey))
				} else if err := out.AddUnmatched(name, "", "the product of this repository of Red Hat is not known, so advisories that are only about it are not matched"); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// repository returns the repository that a CPE names.
func repository(uri, key string) clair.Repository {
	r := clair.Repository{Name: uri, Key: key}
	if name, err := cpe.Parse(uri); err == nil {
		r.CPE = name.String()
	}
	return r
}

// gold is the repository of images of the older build system, whose CPE is not
// in the image.
func gold() *clair.Repository {
	return &clair.Repository{Name: clair.GoldRepository, Key: clair.RHCCKey, URI: "https://catalog.redhat.com/software/containers/explore"}
}

// labelReader reads the labels of images of the newer build system, which are
// told apart by the time at which they were made.
func labelReader() reader.Reader {
	return reader.Reader{
		Name: "redhat-labels", Version: 1, Limit: 1 << 20, Repository: clair.RHCCKey,
		Wants: func(p string, _ fs.FileMode) bool {
			return p == buildInfo+"labels.json" || p == sharedInfo+"labels.json"
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			var l struct {
				Created      string `json:"org.opencontainers.image.created"`
				Architecture string `json:"architecture"`
				Name         string `json:"name"`
				CPE          string `json:"cpe"`
			}
			if err := reader.DecodeJSON(f, &l); err != nil {
				return err
			}
			for _, text := range []*string{&l.Created, &l.Architecture, &l.Name, &l.CPE} {
				if plain, err := strconv.Unquote(*text); err == nil {
					*text = plain // some builds quoted twice
				}
			}
			created, err := time.Parse(time.RFC3339, l.Created)
			if err != nil || l.Name == "" || l.CPE == "" || l.Architecture == "" {
				return nil // a base image, which the catalog does not list
			}
			version := strconv.FormatInt(created.Unix(), 10)
			repo := repository(l.CPE, clair.RHCCKey)
			repo.Name = cmp.Or(repo.CPE, l.CPE)
			out.Catalog = &repo
			return out.Add(image(l.Name, l.Name, version, l.Architecture, "rhctag:"+version+".0.0.0.0.0.0.0.0.0"))
		},
	}
}

// image returns the package that stands for an image.
func image(name, component, version, arch, normalized string) clair.Package {
	return clair.Package{
		Name: name, Version: version, Kind: clair.Binary, Arch: arch, NormalizedVersion: normalized,
		Source: &clair.Package{Name: component, Version: version, Kind: clair.Source, Arch: arch, NormalizedVersion: normalized},
	}
}

// dockerfileReader reads the Dockerfile that the older build system leaves in
// an image, for its labels. The file's name ends in VERSION-RELEASE.
func dockerfileReader() reader.Reader {
	return reader.Reader{
		Name: "redhat-dockerfile", Version: 1, Limit: 1 << 20, Repository: clair.RHCCKey,
		Wants: func(p string, _ fs.FileMode) bool {
			name, ok := strings.CutPrefix(p, buildInfo+"Dockerfile-")
			return ok && strings.Count(name, "-") >= 2 && !strings.Contains(name, "/")
		},
		Read: func(_ context.Context, f *reader.File, out *reader.Found) error {
			m := nameVersionRelease.FindStringSubmatch(f.Path)
			if m == nil {
				return nil
			}
			text, err := f.Text()
			if err != nil {
				return err
			}
			l := labels(string(text))
			name, component, arch := l["name"], l["com.redhat.component"], l["architecture"]
			if name == "" || component == "" || arch == "" {
				return nil
			}
			normalized := ""
			if v := majorMinor.FindStringSubmatch(m[1]); v != nil {
				normalized = "rhctag:" + v[1] + "." + v[2] + ".0.0.0.0.0.0.0.0"
			}
			out.Catalog = gold()
			return out.Add(image(name, component, m[1], arch, normalized))
		},
	}
}

var (
	nameVersionRelease = regexp.MustCompile(`-([^-/]+-[^-/]+)$`)
	majorMinor         = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})`)
	labelPair          = regexp.MustCompile(`([\w.-]+|"[^"]*")\s*=\s*("(?:\\.|[^"\\])*"|'[^']*'|[^\s\\]+)`)
)

// labels returns the labels that the LABEL instructions of a Dockerfile set.
func labels(text string) map[string]string {
	out := map[string]string{}
	instruction := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		instruction += " " + strings.TrimSuffix(line, `\`)
		if strings.HasSuffix(line, `\`) {
			continue
		}
		if word, rest, _ := strings.Cut(strings.TrimSpace(instruction), " "); strings.EqualFold(word, "LABEL") {
			for _, m := range labelPair.FindAllStringSubmatch(rest, -1) {
				out[strings.Trim(m[1], `"`)] = strings.Trim(m[2], `"'`)
			}
		}
		instruction = ""
	}
	return out
}
