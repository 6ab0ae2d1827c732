package updater

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

// alpinePackage is a package in a security database of Alpine, Wolfi or
// Chainguard: which version fixed what.
type alpinePackage struct {
	Pkg struct {
		Name     string              `json:"name"`
		Secfixes map[string][]string `json:"secfixes"`
	} `json:"pkg"`
}

// maxPending bounds the packages kept while the release is not known yet.
// The largest database has fewer than 4,000.
const maxPending = 1 << 16

// parseAlpine reads one branch and repository of secdb. Rows are of source
// packages, one for each CVE that a version fixed; ids of other kinds beside
// it are its aliases, and where there is no CVE each is a row of its own. The
// version "0" says that the package was never affected, so it makes no row.
//
// The release is the document's own unless one is given: Wolfi and Chainguard
// name none, but their package server does.
func parseAlpine(r io.Reader, release distro.Release) rows {
	return emitting(func(e emitter) error {
		p := alpineParser{emitter: e, release: release, dec: json.NewDecoder(r)}
		return p.document()
	})
}

type alpineParser struct {
	emitter
	release distro.Release
	dec     *json.Decoder
	pending []alpinePackage
	listed  bool
}

func (p *alpineParser) document() error {
	err := members(p.dec, func(key string) error {
		switch key {
		case "packages":
			p.listed = true
			return elements(p.dec, p.readPackage)
		case "distroversion":
			return p.named("Alpine:", "")
		case "urlprefix":
			return p.named("", "https://packages.")
		default:
			return skipValue(p.dec)
		}
	})
	switch {
	case err != nil:
		return err
	case !p.listed:
		return badFeed("no packages in it")
	case p.release.Platform == "":
		return badFeed("it names no known release")
	}
	if err := ended(p.dec); err != nil {
		return err
	}
	return p.flush()
}

// named reads a text that may name the release.
func (p *alpineParser) named(prefix, cut string) error {
	var text string
	if err := decode(p.dec, &text); err != nil {
		return err
	}
	if p.release.Platform != "" {
		return nil
	}
	text = strings.TrimPrefix(text, cut)
	if strings.HasPrefix(text, "cgr.dev") {
		text = "chainguard"
	}
	if cut != "" {
		text, _, _ = strings.Cut(text, ".")
	}
	p.release, _ = distro.ReleaseByName(prefix + text)
	return nil
}

func (p *alpineParser) readPackage() error {
	var pkg alpinePackage
	err := decode(p.dec, &pkg)
	switch {
	case wrongType(err):
		return p.skip("package "+pkg.Pkg.Name, err)
	case err != nil:
		return err
	case pkg.Pkg.Name == "":
		return p.skip("package", errors.New("it has no name"))
	case p.release.Platform != "":
		return p.rowsOf(pkg)
	case len(p.pending) == maxPending:
		return fmt.Errorf("%w: %d packages before the release they are of", clair.ErrTooLarge, maxPending)
	}
	p.pending = append(p.pending, pkg)
	return nil
}

func (p *alpineParser) flush() error {
	for _, pkg := range p.pending {
		if err := p.rowsOf(pkg); err != nil {
			return err
		}
	}
	return nil
}

func (p *alpineParser) rowsOf(pkg alpinePackage) error {
	for fixed, ids := range pkg.Pkg.Secfixes {
		fixed = strings.TrimSpace(fixed)
		if fixed == "0" {
			continue
		}
		record := pkg.Pkg.Name + " " + fixed
		if err := checkVersion(p.release, fixed); err != nil {
			if err := p.skip(record, err); err != nil {
				return err
			}
			continue
		}
		if len(ids) == 0 {
			if err := p.skip(record, errors.New("it fixes nothing")); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if err := p.entry(pkg.Pkg.Name, fixed, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// remark is what packagers write behind the ids.
var remark = regexp.MustCompile(`\([^)]*\)?`)

// alpineIDs reads an entry of secfixes: CVEs, and ids of other kinds.
func alpineIDs(entry string) (cves, others []string) {
	entry = remark.ReplaceAllString(entry, " ")
	cves = findCVEs(entry)
	for _, word := range strings.Fields(cveID.ReplaceAllString(entry, " ")) {
		word = strings.Trim(word, ",;")
		if strings.Contains(word, "-") && !strings.ContainsAny(word, "?#/") && len(word) > 4 {
			others = addOnce(others, word)
		}
	}
	return cves, others
}

func (p *alpineParser) entry(name, fixed, entry string) error {
	cves, others := alpineIDs(entry)
	if len(cves) == 0 {
		cves, others = others, nil
	}
	if len(cves) == 0 {
		return p.skip(name+" "+fixed, fmt.Errorf("%w: no id in %.80q", clair.ErrInvalid, entry))
	}
	for _, id := range cves {
		v := &clair.Vulnerability{
			Name:           id,
			Links:          p.link(id),
			Package:        &clair.Package{Name: name, Kind: clair.Source},
			Dist:           p.release.Distribution(),
			FixedInVersion: fixed,
			Aliases:        others,
		}
		if err := p.row(v); err != nil {
			return err
		}
	}
	return nil
}

// link is the page of the distribution's security tracker.
func (p *alpineParser) link(id string) string {
	switch p.release.Platform {
	case "wolfi", "chainguard":
		return "https://images.chainguard.dev/security/" + id
	}
	return "https://security.alpinelinux.org/vuln/" + id
}
