package alpine

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
)

// alpinePackage is a package in a security database of Alpine, Wolfi or
// Chainguard: the vulnerabilities that each version fixed.
type alpinePackage struct {
	Pkg struct {
		Name     string              `json:"name"`
		Secfixes map[string][]string `json:"secfixes"`
	} `json:"pkg"`
}

// maxPending limits the packages that are held while the release is not known
// yet. The largest database has fewer than 4,000.
const maxPending = 1 << 16

// Format returns the format "alpine": one repository of one branch of Alpine's
// secdb, or the security database of Wolfi or Chainguard.
func Format() feed.Format { return feed.PlainFormat("alpine", 2, Parse) }

// Parse reads one branch and repository of secdb. Rows are of source packages,
// one for each CVE that a version fixed; other ids next to it are its aliases,
// and if there is no CVE each of them is a row of its own. The version "0"
// means that the package was never affected, so it makes no row.
//
// The release is the document's own unless one is given: Wolfi and Chainguard
// name none, but their package server does.
func Parse(r io.Reader, release distro.Release) feed.Rows {
	return feed.Emit(func(e feed.Emitter) error {
		p := alpineParser{Emitter: e, release: release, dec: feed.NewJSON(r)}
		return p.document()
	})
}

type alpineParser struct {
	feed.Emitter
	release distro.Release
	dec     *feed.JSON
	pending []alpinePackage
	listed  bool
}

func (p *alpineParser) document() error {
	err := p.dec.Object(func(key string) error {
		switch key {
		case "packages":
			p.listed = true
			return p.dec.Array(p.readPackage)
		case "distroversion":
			return p.named("Alpine:", "")
		case "urlprefix":
			return p.named("", "https://packages.")
		default:
			return p.dec.Skip()
		}
	})
	switch {
	case err != nil:
		return err
	case !p.listed:
		return feed.Malformed("no packages in it")
	case p.release.Platform == "":
		return feed.Malformed("it names no known release")
	}
	if err := p.dec.End(); err != nil {
		return err
	}
	return p.flush()
}

// named reads a text that may name the release.
func (p *alpineParser) named(prefix, cut string) error {
	var text string
	if err := p.dec.Decode(&text); err != nil {
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
	err := p.dec.Decode(&pkg)
	switch {
	case feed.WrongType(err):
		return p.Skip("package "+pkg.Pkg.Name, err)
	case err != nil:
		return err
	case pkg.Pkg.Name == "":
		return p.Skip("package", errors.New("it has no name"))
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
		if len(ids) == 0 {
			if err := p.Skip(record, errors.New("it fixes nothing")); err != nil {
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

// remark is a packager's remark after the ids.
var remark = regexp.MustCompile(`\([^)]*\)?`)

// alpineIDs reads an entry of secfixes: CVEs, and ids of other kinds.
func alpineIDs(entry string) (cves, others []string) {
	entry = remark.ReplaceAllString(entry, " ")
	cves = feed.FindCVEs(entry)
	for _, word := range strings.Fields(feed.CVEPattern.ReplaceAllString(entry, " ")) {
		word = strings.Trim(word, ",;")
		if strings.Contains(word, "-") && !strings.ContainsAny(word, "?#/") && len(word) > 4 {
			others = feed.AppendOnce(others, word)
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
		return p.Skip(name+" "+fixed, fmt.Errorf("%w: no id in %.80q", clair.ErrInvalid, entry))
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
		if err := p.Row(v); err != nil {
			return err
		}
	}
	return nil
}

// link returns the page of the distribution's security tracker.
func (p *alpineParser) link(id string) string {
	switch p.release.Platform {
	case "wolfi", "chainguard":
		return "https://images.chainguard.dev/security/" + id
	}
	return "https://security.alpinelinux.org/vuln/" + id
}
