package oval

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/internal/severity"
)

// Format returns the format "oval": definitions of vulnerabilities or patches.
func Format() feed.Format {
	return feed.Format{
		Name: "oval", Kind: clair.KindVulnerability, Options: []feed.Option{feed.TextOption(feed.ReleaseOption)},
		New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) {
			release, err := feed.ReleaseOf(f)
			if err != nil {
				return nil, err
			}
			return &feed.File{Feed: f, Client: c, Version: 2, Read: func(ctx context.Context, file *fetch.File) feed.Rows {
				return Parse(func() (io.ReadCloser, error) {
					return fetch.Decompress(feed.WithContext(ctx, io.NewSectionReader(file, 0, file.Size())))
				}, release)
			}}, nil
		},
	}
}

// Parse reads OVAL definitions of vulnerabilities and patches, as Ubuntu,
// SUSE, Oracle, Photon and Azure Linux publish them, in two passes: one for
// the objects that definitions refer to, which follow them in the file, and
// one for the definitions themselves. open starts a pass.
//
// A row is a package test of a definition, on each release in the criteria
// around the test ("SUSE Linux Enterprise Server 15 is installed"); if there
// is none, on the releases that the definition lists as affected, or else on
// the given release. "less than" is a fix, "less than or equal" a last
// affected version without one (in Package.Version, as in Clair), and a test
// for any version, or for none, an affected package without a fix. Packages
// that are marked as not affected make no row.
//
// A definition with CVEs makes its rows for each of them, with the advisory's
// own id as an alias; one without has rows named by the advisory.
func Parse(open func() (io.ReadCloser, error), release distro.Release) feed.Rows {
	return feed.Emit(func(e feed.Emitter) error {
		p := ovalParser{Emitter: e, release: release, index: newOVALIndex(), named: map[string]distro.Release{}}
		if err := pass(open, p.index.read); err != nil {
			return err
		}
		err := pass(open, func(r io.Reader) error {
			return feed.XMLElements(r, "oval_definitions", func(dec *xml.Decoder, start xml.StartElement) error {
				switch name := start.Name.Local; {
				case name == "definition":
					return p.definition(dec, start)
				case strings.HasSuffix(name, "_test"), strings.HasSuffix(name, "_object"), strings.HasSuffix(name, "_state"):
					return dec.Skip()
				}
				return nil
			})
		})
		if err == nil && p.definitions == 0 {
			return feed.Malformed("no definitions in it")
		}
		return err
	})
}

func pass(open func() (io.ReadCloser, error), read func(io.Reader) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// ovalDefinition is a definition in the file.
type ovalDefinition struct {
	Class    string `xml:"class,attr"`
	Metadata struct {
		Title      string   `xml:"title"`
		Platforms  []string `xml:"affected>platform"`
		References []struct {
			Source string `xml:"source,attr"`
			ID     string `xml:"ref_id,attr"`
			URL    string `xml:"ref_url,attr"`
		} `xml:"reference"`
		Description string `xml:"description"`
		// Azure Linux has these two outside of the advisory.
		Severity string `xml:"severity"`
		Date     string `xml:"advisory_date"`
		Advisory struct {
			Severity string `xml:"severity"`
			Issued   struct {
				Date string `xml:"date,attr"`
			} `xml:"issued"`
			Public string   `xml:"public_date"`
			CVEs   []string `xml:"cve"`
		} `xml:"advisory"`
	} `xml:"metadata"`
	Criteria ovalCriteria `xml:"criteria"`
}

// ovalCriteria is a node of a definition's tree of conditions.
type ovalCriteria struct {
	Operator string          `xml:"operator,attr"`
	Negate   bool            `xml:"negate,attr"`
	Criteria []ovalCriteria  `xml:"criteria"`
	Tests    []ovalCriterion `xml:"criterion"`
	Extends  []ovalCriterion `xml:"extend_definition"`
}

// ovalCriterion is a leaf: a test, and its comment.
type ovalCriterion struct {
	Ref     string `xml:"test_ref,attr"`
	Comment string `xml:"comment,attr"`
	Negate  bool   `xml:"negate,attr"`
}

type ovalParser struct {
	feed.Emitter
	release     distro.Release
	index       *ovalIndex
	definitions int
	// named is a cache of releases by their names in the file.
	named map[string]distro.Release
}

// ovalScope is the conditions for the system in the criteria around a test.
type ovalScope struct {
	releases []distro.Release
	arch     string
	module   string
}

func (p *ovalParser) definition(dec *xml.Decoder, start xml.StartElement) error {
	var d ovalDefinition
	if err := feed.DecodeXML(dec, start, &d); err != nil {
		return err
	}
	if d.Class == "inventory" || d.Class == "compliance" {
		// Definitions of a release itself, or of its configuration.
		return nil
	}
	p.definitions++
	w := ovalWalk{ovalParser: p, found: map[ovalRow]bool{}}
	w.walk(d.Criteria, ovalScope{releases: p.affected(d)})
	record := feed.Attr(start, "id")
	for _, problem := range w.problems {
		if err := p.Skip(record, problem); err != nil {
			return err
		}
	}
	if len(w.order) == 0 {
		return nil
	}
	return p.rowsOf(d, record, w.order)
}

// affected returns the releases that a definition lists as affected.
func (p *ovalParser) affected(d ovalDefinition) []distro.Release {
	var list []distro.Release
	for _, platform := range d.Metadata.Platforms {
		if r, ok := p.releaseOf(platform); ok {
			list = append(list, r)
		}
	}
	if len(list) == 0 && p.release.Platform != "" {
		list = append(list, p.release)
	}
	return list
}

// releaseOf finds a release by its name, such as "Ubuntu 22.04 LTS".
func (p *ovalParser) releaseOf(words string) (distro.Release, bool) {
	r, ok := p.named[words]
	if !ok {
		r, _ = distro.ReleaseByName(words)
		if len(p.named) < 1000 {
			p.named[strings.Clone(words)] = r
		}
	}
	return r, r.Platform != ""
}

func (p *ovalParser) rowsOf(d ovalDefinition, id string, found []ovalRow) error {
	m := &d.Metadata
	var text strings.Builder
	var links []string
	for _, ref := range m.References {
		text.WriteString(ref.ID + " ")
		if ref.URL != "" && len(links) < feed.MaxReferences {
			links = append(links, ref.URL)
		}
	}
	names := feed.FindCVEs(text.String() + strings.Join(m.Advisory.CVEs, " ") + " " + m.Title)
	advisory := advisoryID(m.Title)
	var aliases []string
	switch {
	case len(names) == 0 && advisory == "":
		names = []string{id}
	case len(names) == 0:
		names = []string{advisory}
	case advisory != "":
		aliases = []string{advisory}
	}
	word := m.Advisory.Severity + m.Severity
	issued := feed.ParseDate(m.Advisory.Issued.Date, m.Date, m.Advisory.Public)
	for _, name := range names {
		for _, row := range found {
			v := row.vulnerability()
			v.Name, v.Aliases = name, aliases
			v.Description = strings.TrimSpace(m.Description)
			v.Issued, v.Links = issued, strings.Join(links, " ")
			v.Severity, v.NormalizedSeverity = word, severity.Of(word)
			if err := p.Row(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// advisory matches an advisory's id at the start of a title: "ELSA-2021-0001:
// …".
var advisory = regexp.MustCompile(`^\s*([A-Z][A-Za-z]*(?:-[A-Za-z]+)*-[0-9]{4}[-:][0-9][0-9A-Za-z:-]*)`)

func advisoryID(title string) string {
	m := advisory.FindStringSubmatch(title)
	if m == nil || strings.HasPrefix(m[1], "CVE-") {
		return ""
	}
	return strings.TrimRight(m[1], ":-")
}

// ovalRow is the result of a package test. It is comparable, because
// definitions repeat themselves.
type ovalRow struct {
	release      distro.Release
	name, module string
	fixed, last  string
	arch         string
	archOp       clair.ArchOp
}

func (r ovalRow) vulnerability() *clair.Vulnerability {
	kind := clair.Binary
	if id, _, _ := strings.Cut(r.release.Platform, ":"); id == "azurelinux" || id == "mariner" {
		// Microsoft's definitions name source packages.
		kind = clair.Source
	}
	return &clair.Vulnerability{
		Package:        &clair.Package{Name: r.name, Version: r.last, Kind: kind, Module: r.module, Arch: r.arch},
		Dist:           r.release.Distribution(),
		FixedInVersion: r.fixed,
		ArchOperation:  r.archOp,
	}
}

// ovalWalk is the state while walking one definition's criteria.
type ovalWalk struct {
	*ovalParser
	order    []ovalRow
	found    map[ovalRow]bool
	problems []error
}

func (w *ovalWalk) problem(format string, args ...any) {
	if len(w.problems) < feed.MaxProblems {
		w.problems = append(w.problems, fmt.Errorf(format, args...))
	}
}
