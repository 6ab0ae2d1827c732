package osv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/severity"
	"oriel/internal/version"
)

// osvRecord has the fields of a record of the OSV schema that Oriel uses.
// Other fields are not even decoded.
type osvRecord struct {
	ID         string        `json:"id"`
	Modified   string        `json:"modified"`
	Published  string        `json:"published"`
	Withdrawn  string        `json:"withdrawn"`
	Aliases    []string      `json:"aliases"`
	Upstream   []string      `json:"upstream"`
	Related    []string      `json:"related"`
	Summary    string        `json:"summary"`
	Details    string        `json:"details"`
	Severity   []osvSeverity `json:"severity"`
	Affected   []osvAffected `json:"affected"`
	References []struct {
		URL string `json:"url"`
	} `json:"references"`
	Specific osvSpecific `json:"database_specific"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity []osvSeverity `json:"severity"`
	Ranges   []osvRange    `json:"ranges"`
	Versions []string      `json:"versions"`
	// Of the ecosystem's and the database's own fields only the severity is
	// read: the meaning of the others is not known.
	Ecosystem osvSpecific `json:"ecosystem_specific"`
	Database  osvSpecific `json:"database_specific"`
}

// osvSpecific is the value of "severity" in an object with arbitrary other
// contents, which may not even be an object.
type osvSpecific string

func (s *osvSpecific) UnmarshalJSON(b []byte) error {
	*s = ""
	if !bytes.Contains(b, []byte(`"severity"`)) {
		return nil
	}
	var in struct {
		Severity json.RawMessage `json:"severity"`
	}
	var word string
	if json.Unmarshal(b, &in) == nil && json.Unmarshal(in.Severity, &word) == nil {
		*s = osvSpecific(word)
	}
	return nil
}

// Limits of the texts of a row. The longest real ones are shorter.
const (
	maxID          = 256
	maxName        = 1024
	maxDescription = 16 << 10
	maxLinks       = 32 << 10
)

// record yields the rows of one record. The error is a *clair.RecordError if
// the record has an id, and ErrStopped if the consumer stopped.
func (p *parser) record(b []byte) error {
	var r osvRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	if r.ID == "" || len(r.ID) > maxID {
		return fmt.Errorf("%w: its id has %d bytes", clair.ErrInvalid, len(r.ID))
	}
	if r.Withdrawn != "" {
		return nil
	}
	base := clair.Vulnerability{
		Name: r.ID, Description: describe(r.Summary, r.Details), Issued: issued(r.Published, r.Modified),
		Links: r.links(), Aliases: r.aliases(),
	}
	var wrong []error
	for i := range r.Affected {
		err := p.affected(&base, &r, &r.Affected[i])
		if errors.Is(err, feed.ErrStopped) {
			return err
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("affected[%d]: %w", i, err))
		}
	}
	if len(wrong) > 0 {
		return feed.Skip(r.ID, errors.Join(wrong[0], moreErrors(len(wrong)-1)))
	}
	return nil
}

func moreErrors(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("and %d more", n)
}

// affected yields one row for each interval of versions, and one for the
// listed versions that are in none.
func (p *parser) affected(base *clair.Vulnerability, r *osvRecord, a *osvAffected) error {
	if a.Package.Ecosystem == "" && a.Package.Name == "" {
		return nil // commits of a repository, which have no package
	}
	at := p.place(a.Package.Ecosystem)
	if at == nil {
		return nil
	}
	if a.Package.Name == "" || len(a.Package.Name) > maxName {
		return fmt.Errorf("%w: the package's name has %d bytes", clair.ErrInvalid, len(a.Package.Name))
	}
	bounds, err := p.bounds(at, a)
	if err != nil && len(bounds) == 0 {
		return err
	}
	word, normalized := r.severity(a)
	pkg := clair.Package{Name: at.packageName(a.Package.Name), Kind: at.kind}
	for _, b := range bounds {
		v := *base
		v.Severity, v.NormalizedSeverity = word, normalized
		v.Dist, v.Repo = at.dist, at.repo
		one := pkg
		v.Package = &one
		at.setVersions(&v, b)
		if at.dist != nil {
			r.distribute(&v)
		}
		if !p.yield(&v, nil) {
			return feed.ErrStopped
		}
	}
	return err
}

// severity returns the severity of the affected entry, or else of the record.
// Ubuntu's own priority counts before the score that it copies.
func (r *osvRecord) severity(a *osvAffected) (string, clair.Severity) {
	for _, s := range slices.Concat(a.Severity, r.Severity) {
		if s.Type == "Ubuntu" {
			return s.Score, severity.Of(s.Score)
		}
	}
	text, s := severity.Preferred(texts(a.Severity, a.Ecosystem, a.Database))
	if text != "" {
		return text, s
	}
	return severity.Preferred(texts(r.Severity, r.Specific))
}

func texts(list []osvSeverity, words ...osvSpecific) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Score)
	}
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

// describe returns both texts, unless one includes the other.
func describe(summary, details string) string {
	summary, details = strings.TrimSpace(summary), strings.TrimSpace(details)
	text := details
	switch {
	case details == "":
		text = summary
	case summary != "" && !strings.HasPrefix(details, summary):
		text = summary + "\n\n" + details
	}
	return feed.Truncate(text, maxDescription)
}

func issued(published, modified string) time.Time {
	for _, s := range []string{published, modified} {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// aliasPage is where OSV describes an advisory under another name. Clair's
// clients find a vulnerability's CVE by these links.
const aliasPage = "https://osv.dev/vulnerability/"

// links returns the references and the pages of the aliases, each once, with
// one space between them.
func (r *osvRecord) links() string {
	var b strings.Builder
	seen := make(map[string]bool, len(r.References)+len(r.Aliases))
	add := func(link string) {
		link = strings.Join(strings.Fields(link), "%20")
		if link == "" || seen[link] || b.Len()+len(link) > maxLinks {
			return
		}
		seen[link] = true
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(link)
	}
	for _, ref := range r.References {
		add(ref.URL)
	}
	for _, alias := range r.aliases() {
		add(aliasPage + alias)
	}
	return b.String()
}

// aliases returns the other names of the same advisory, sorted. Related and
// upstream ids are not the same advisory.
func (r *osvRecord) aliases() []string {
	out := slices.DeleteFunc(r.Aliases, func(a string) bool { return a == "" || a == r.ID || len(a) > maxID })
	slices.Sort(out)
	return slices.Compact(out)
}

// osvPlace is the place of packages of an OSV ecosystem.
type osvPlace struct {
	dist   *clair.Distribution
	repo   *clair.Repository
	scheme version.Scheme
	// kind of package that its records name.
	kind string
	// packageName returns the canonical name of a package.
	packageName func(string) string
}

// place finds the place of an ecosystem's packages; ok is false for ecosystems
// that Oriel does not match.
func place(ecosystem string) (at osvPlace, ok bool) {
	if d, ok := placeOfRelease(ecosystem); ok {
		return osvPlace{
			dist: d.dist, repo: d.repo, scheme: version.Scheme(d.scheme), kind: d.kind, packageName: func(s string) string { return s },
		}, true
	}
	e, ok := clair.EcosystemByOSV(ecosystem)
	if !ok {
		return osvPlace{}, false
	}
	return osvPlace{
		repo: &clair.Repository{Name: e.Repository, URI: e.URI}, scheme: version.Scheme(e.Repository), kind: clair.Binary, packageName: e.PackageName,
	}, true
}

// maxPlaces limits the cache of ecosystems of one feed's parser.
const maxPlaces = 256

// place caches ecosystems, so that their rows share one repository. It returns
// nil for ecosystems that are not wanted.
func (p *parser) place(ecosystem string) *osvPlace {
	if at, ok := p.places[ecosystem]; ok {
		return at
	}
	if len(p.places) >= maxPlaces {
		clear(p.places)
	}
	var found *osvPlace
	if at, ok := place(ecosystem); ok && p.wants(ecosystem) {
		found = &at
	}
	p.places[strings.Clone(ecosystem)] = found
	return found
}

func (p *parser) wants(ecosystem string) bool {
	name, _, _ := strings.Cut(ecosystem, ":")
	return len(p.only) == 0 || slices.Contains(p.only, ecosystem) || slices.Contains(p.only, name)
}

// setVersions writes bounds in the form that the place's matching reads: as a
// query string for language ecosystems, and for a distribution as the fixed
// version, or the last affected one if there is no fix.
func (at *osvPlace) setVersions(v *clair.Vulnerability, b clair.Bounds) {
	if at.dist == nil || len(b.Versions) > 0 || b.Introduced != "" {
		v.FixedInVersion = b.String()
		return
	}
	v.FixedInVersion, v.Package.Version = b.Fixed, b.LastAffected
}
