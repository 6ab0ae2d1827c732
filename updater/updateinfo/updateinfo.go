package updateinfo

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/severity"
)

// updateInfo is an update in an updateinfo.xml.
type updateInfo struct {
	Type     string `xml:"type,attr"`
	ID       string `xml:"id"`
	Title    string `xml:"title"`
	Severity string `xml:"severity"`
	Issued   struct {
		Date string `xml:"date,attr"`
	} `xml:"issued"`
	Description string `xml:"description"`
	References  []struct {
		Href  string `xml:"href,attr"`
		ID    string `xml:"id,attr"`
		Title string `xml:"title,attr"`
		Type  string `xml:"type,attr"`
	} `xml:"references>reference"`
	Collections []struct {
		Name     string              `xml:"name"`
		Packages []updateInfoPackage `xml:"package"`
	} `xml:"pkglist>collection"`
}

type updateInfoPackage struct {
	Name    string `xml:"name,attr"`
	Epoch   string `xml:"epoch,attr"`
	Version string `xml:"version,attr"`
	Release string `xml:"release,attr"`
	Arch    string `xml:"arch,attr"`
}

// Parse reads the updateinfo.xml of a repository of RPMs, as Amazon
// Linux has them. Rows are of binary packages of one architecture each, for
// each CVE that an update refers to, with the update's id as an alias; an
// update without CVEs makes rows of its own name. Updates that are not of type
// security make none.
//
// The release is the one of the options, or else the one that the collection
// or the title of an update names ("Amazon Linux 2023 - ALAS2023-…").
func Parse(r io.Reader, release distro.Release) feed.Rows {
	return feed.Emit(func(e feed.Emitter) error {
		p := updateInfoParser{Emitter: e, release: release}
		err := feed.XMLElements(r, "updates", func(dec *xml.Decoder, start xml.StartElement) error {
			if start.Name.Local != "update" {
				return nil
			}
			var u updateInfo
			if err := feed.DecodeXML(dec, start, &u); err != nil {
				return err
			}
			p.updates++
			return p.update(&u)
		})
		if err == nil && p.updates == 0 {
			return feed.Malformed("no updates in it")
		}
		return err
	})
}

type updateInfoParser struct {
	feed.Emitter
	release distro.Release
	updates int
}

func (p *updateInfoParser) update(u *updateInfo) error {
	if u.Type != "" && u.Type != "security" {
		return nil
	}
	u.ID = strings.TrimSpace(u.ID)
	names := u.names()
	seen := map[string]bool{}
	for _, c := range u.Collections {
		release, ok := p.releaseOf(u, c.Name)
		if !ok {
			if err := p.Skip(u.ID, feed.Malformed("%.80q is not a known release", c.Name)); err != nil {
				return err
			}
			continue
		}
		for _, pkg := range c.Packages {
			evr := pkg.evr()
			key := strings.Join([]string{release.Platform, pkg.Name, evr, pkg.Arch}, "\x00")
			if pkg.Arch == "src" || seen[key] {
				continue
			}
			seen[key] = true
			if pkg.Version == "" {
				if err := p.Skip(u.ID, fmt.Errorf("%w: %s has no version", clair.ErrInvalid, pkg.Name)); err != nil {
					return err
				}
				continue
			}
			for _, name := range names {
				if err := p.Row(u.vulnerability(name, release, pkg)); err != nil {
					return err
				}
			}
		}
	}
	if len(seen) == 0 && len(u.Collections) == 0 {
		return p.Skip(u.ID, feed.Malformed("it lists no packages"))
	}
	return nil
}

// names returns the CVEs that an update refers to, or else its own id.
func (u *updateInfo) names() []string {
	var names []string
	for _, ref := range u.References {
		for _, cve := range feed.FindCVEs(ref.ID + " " + ref.Title) {
			names = feed.AppendOnce(names, cve)
		}
	}
	if len(names) == 0 {
		return []string{u.ID}
	}
	return names
}

func (u *updateInfo) links() string {
	var links []string
	for _, ref := range u.References {
		if ref.Href != "" && len(links) < feed.MaxReferences {
			links = append(links, ref.Href)
		}
	}
	return strings.Join(links, " ")
}

func (p *updateInfoParser) releaseOf(u *updateInfo, collection string) (distro.Release, bool) {
	if p.release.Platform != "" {
		return p.release, true
	}
	title, _, _ := strings.Cut(u.Title, " - ")
	for _, words := range []string{title, collection} {
		if r, ok := distro.ReleaseByName(words); ok {
			return r, true
		}
	}
	return distro.Release{}, false
}

func (p updateInfoPackage) evr() string {
	epoch := p.Epoch
	if epoch == "" {
		epoch = "0"
	}
	evr := epoch + ":" + p.Version
	if p.Release != "" {
		evr += "-" + p.Release
	}
	return evr
}

func (u *updateInfo) vulnerability(name string, r distro.Release, p updateInfoPackage) *clair.Vulnerability {
	v := &clair.Vulnerability{
		Name:               name,
		Description:        strings.TrimSpace(u.Description),
		Issued:             feed.ParseDate(u.Issued.Date),
		Links:              u.links(),
		Severity:           strings.TrimSpace(u.Severity),
		NormalizedSeverity: severity.Of(u.Severity),
		Package:            &clair.Package{Name: p.Name, Kind: clair.Binary, Arch: p.Arch},
		Dist:               r.Distribution(),
		FixedInVersion:     p.evr(),
	}
	v.Package.Module = extraOf(u.ID)
	if name != u.ID {
		v.Aliases = []string{u.ID}
	}
	if p.Arch != "" {
		v.ArchOperation = clair.ArchEquals
	}
	return v
}

// extrasID is the id of an advisory for one of the extras of Amazon Linux 2, each
// of which is a repository of its own: "ALAS2PHP8.2-2024-005",
// "ALASKERNEL-5.10-2022-018". The ids of the core have no name: "ALAS2-2023-2375".
var extrasID = regexp.MustCompile(`^ALAS2?([A-Z][A-Z0-9.-]*?)-[0-9]{4}-[0-9]+$`)

// extraOf returns the name of the extra that an advisory is for, such as
// "php8.2", "" if it is for none. Extras have packages with the names of the
// core's, so that the name is kept as the module of the rows.
func extraOf(id string) string {
	m := extrasID.FindStringSubmatch(id)
	if m == nil {
		return ""
	}
	return strings.ToLower(m[1])
}

// repoData is a file that the index of a repository lists.
type repoData struct {
	Type     string `xml:"type,attr"`
	Checksum struct {
		Type string `xml:"type,attr"`
		Sum  string `xml:",chardata"`
	} `xml:"checksum"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

// readRepoMD finds a repository's updateinfo in its repomd.xml.
func readRepoMD(r io.Reader) (repoData, error) {
	var found repoData
	err := feed.XMLElements(r, "repomd", func(dec *xml.Decoder, start xml.StartElement) error {
		if start.Name.Local != "data" {
			return nil
		}
		var d repoData
		if err := feed.DecodeXML(dec, start, &d); err != nil {
			return err
		}
		if d.Type == "updateinfo" {
			found = d
		}
		return nil
	})
	switch {
	case err != nil:
		return repoData{}, fmt.Errorf("repomd.xml: %w", err)
	case found.Location.Href == "":
		return repoData{}, feed.Malformed("the repository has no updateinfo")
	}
	found.Checksum.Sum = strings.ToLower(strings.TrimSpace(found.Checksum.Sum))
	return found, nil
}
