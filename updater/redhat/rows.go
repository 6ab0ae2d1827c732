package redhat

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/internal/cpe"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/purl"
	"oriel/internal/severity"
)

// rows makes the rows of a document as Clair does: a fixed package is a binary
// one with the version that fixed it and a pattern of its architectures, an
// affected one is a source package without a fix. The repository is the CPE
// of the platform. Components of products without relations, packages that
// are neither RPMs of Red Hat nor containers, and statuses that clear a
// product or leave it open make no row.
//
// The distribution is that of the CPE, for scanners to be served by platform;
// Clair matches these rows by the CPE alone.
func (d *vexDocument) rows(e feed.Emitter) error {
	for i := range d.vulnerabilities {
		w := vexWriter{Emitter: e, doc: d, v: &d.vulnerabilities[i]}
		w.prepare()
		if err := w.write(); err != nil {
			return err
		}
	}
	return nil
}

// vexWriter makes the rows of one vulnerability.
type vexWriter struct {
	feed.Emitter
	doc         *vexDocument
	v           *vexVulnerability
	description string
	links       string
	// statuses of products, by product id.
	vectors  map[string]vexCVSS
	impacts  map[string]string
	errata   map[string]string
	problems int
}

// vexKey is a row without its architectures.
type vexKey struct {
	repo, cpe    string
	name, module string
	fixed        string
	severity     string
	impact       string
	erratum      string
}

// vexRow is a row to which further products with the same key are added.
type vexRow struct {
	vexKey
	arches []string
}

func (w *vexWriter) prepare() {
	w.vectors, w.impacts, w.errata = map[string]vexCVSS{}, map[string]string{}, map[string]string{}
	for _, s := range w.v.Scores {
		for _, score := range []*vexCVSS{s.V4, s.V3, s.V2} {
			if score == nil {
				continue
			}
			for _, id := range s.Products {
				if _, ok := w.vectors[id]; !ok {
					w.vectors[id] = *score
				}
			}
		}
	}
	for _, t := range w.v.Threats {
		for _, id := range t.Products {
			if t.Category == "impact" {
				w.impacts[id] = t.Details
			}
		}
	}
	for _, r := range w.v.Remediations {
		for _, id := range r.Products {
			if r.Category == "vendor_fix" && w.errata[id] == "" {
				w.errata[id] = r.URL
			}
		}
	}
	for _, n := range w.v.Notes {
		if n.Category == "description" {
			w.description = n.Text
		}
	}
	var links []string
	for _, r := range w.v.References {
		links = feed.AppendOnce(links, r.URL)
	}
	for _, r := range w.doc.Meta.References {
		if r.Category == "self" {
			links = feed.AppendOnce(links, r.URL)
		}
	}
	w.links = strings.Join(links, " ")
}

func (w *vexWriter) write() error {
	fixed, err := w.gather(w.v.Status.Fixed, true)
	if err != nil {
		return err
	}
	lowest := lowestTags(fixed)
	for _, r := range fixed {
		v := w.vulnerability(r, clair.Binary)
		if r.repo == clair.RHCCKey {
			v.Range = tagRange(r.fixed, lowest[r.name] == r.fixed)
		}
		if err := w.Row(v); err != nil {
			return err
		}
	}
	affected, err := w.gather(w.v.Status.KnownAffected, false)
	if err != nil {
		return err
	}
	for _, r := range affected {
		v := w.vulnerability(r, clair.Source)
		if r.repo == clair.RHCCKey {
			v.Range = tagRange("", true)
		}
		if err := w.Row(v); err != nil {
			return err
		}
	}
	return nil
}

// gather makes the rows of the products with one status, in their order.
func (w *vexWriter) gather(products []string, fixed bool) ([]vexRow, error) {
	var list []vexRow
	at := map[vexKey]int{}
	for _, id := range products {
		key, arch, err := w.product(id, fixed)
		if err != nil {
			if w.problems++; w.problems > feed.MaxProblems {
				continue
			}
			if err := w.Skip(w.doc.Meta.Tracking.ID+" "+id, err); err != nil {
				return nil, err
			}
			continue
		}
		if key.name == "" {
			continue
		}
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, vexRow{vexKey: key})
		}
		if arch != "" {
			list[i].arches = feed.AppendOnce(list[i].arches, arch)
		}
	}
	return list, nil
}

// product reads one product of a status. If it makes no row, the key has no
// name.
func (w *vexWriter) product(id string, fixed bool) (key vexKey, arch string, err error) {
	part, ok := w.doc.parts[id]
	if !ok {
		// Middleware: a product that is not a package in a platform.
		return vexKey{}, "", nil
	}
	component, platform := w.doc.helpers[part.component], w.doc.helpers[part.platform]
	if component.PURL == "" {
		// A component that is not a package, such as a library within one.
		return vexKey{}, "", nil
	}
	p, err := purl.Parse(component.PURL)
	if err != nil {
		return vexKey{}, "", err
	}
	if p.Type != "oci" && (p.Type != "rpm" || p.Namespace != "redhat") {
		return vexKey{}, "", nil
	}
	key = vexKey{repo: clair.RHELKey, name: p.Name, severity: w.vectors[id].Vector, impact: w.impacts[id]}
	product, err := cpe.Parse(platform.CPE)
	if err != nil {
		return vexKey{}, "", err
	}
	key.cpe = product.String()
	if base, scored := w.vectors[id]; key.impact == "" && scored && base.Base == 0 {
		// It has neither an impact nor a score, so it is ignored, as in Clair.
		return vexKey{}, "", nil
	}
	if p.Type == "oci" {
		key.repo, key.name = clair.RHCCKey, imageName(p)
	} else if key.module, err = moduleOf(p.Qualifiers.Get("rpmmod")); err != nil {
		return vexKey{}, "", err
	}
	arch = p.Qualifiers.Get("arch")
	if !fixed {
		return key, "", nil
	}
	key.erratum = w.errata[id]
	return w.fixedProduct(p, key, arch)
}

// fixedProduct adds the version that fixed a product to a key.
func (w *vexWriter) fixedProduct(p purl.PURL, key vexKey, arch string) (vexKey, string, error) {
	switch {
	case p.Type == "oci":
		if key.fixed = p.Qualifiers.Get("tag"); key.fixed == "" {
			return vexKey{}, "", feed.Malformed("a container without a tag")
		}
	case arch == "src" || arch == "source":
		// No binary package is of this architecture.
		return vexKey{}, "", nil
	case p.Version == "":
		return vexKey{}, "", feed.Malformed("%s is fixed by no version", p.Name)
	default:
		epoch := p.Qualifiers.Get("epoch")
		if epoch == "" {
			epoch = "0"
		}
		key.fixed = epoch + ":" + p.Version
	}
	if p.Type == "oci" && arch == "amd64" {
		arch = "amd64|x86_64"
	}
	return key, arch, nil
}

// imageName returns the name of a container in its registry.
func imageName(p purl.PURL) string {
	if p.Namespace != "" {
		return p.Namespace + "/" + p.Name
	}
	if _, image, ok := strings.Cut(p.Qualifiers.Get("repository_url"), "/"); ok {
		return image
	}
	return p.Name
}

// moduleOf returns the name and stream of an RPM's module, without the build.
func moduleOf(rpmmod string) (string, error) {
	if rpmmod == "" {
		return "", nil
	}
	parts := strings.Split(rpmmod, ":")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", feed.Malformed("%.80q is not a module with a stream", rpmmod)
	}
	return parts[0] + ":" + parts[1], nil
}

func (w *vexWriter) vulnerability(r vexRow, kind string) *clair.Vulnerability {
	v := &clair.Vulnerability{
		Name:           w.doc.Meta.Tracking.ID,
		Description:    w.description,
		Issued:         w.v.Released.UTC(),
		Links:          strings.TrimSpace(w.links + " " + r.erratum),
		Severity:       r.severity,
		Package:        &clair.Package{Name: r.name, Kind: kind, Module: r.module},
		Repo:           &clair.Repository{Key: r.repo, Name: r.cpe, CPE: r.cpe},
		FixedInVersion: r.fixed,
	}
	if v.Severity == "" {
		v.Severity = "Unknown"
	}
	impact := r.impact
	if impact == "" {
		impact = w.doc.Meta.Severity.Text
	}
	v.NormalizedSeverity = severity.Of(impact)
	if len(r.arches) > 0 {
		slices.Sort(r.arches)
		v.Package.Arch, v.ArchOperation = strings.Join(r.arches, "|"), clair.ArchPattern
	}
	if release, ok := distro.ReleaseByCPE(r.cpe); ok && r.repo == clair.RHELKey {
		v.Dist = release.Distribution()
	}
	return v
}

// tag returns the part of a container's tag that Clair compares: it
// distinguishes two releases with one CPE.
func tag(s string) (major, minor int32, ok bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	first, rest, _ := strings.Cut(s, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err := strconv.ParseInt(first, 10, 32)
	if err != nil {
		return 0, 0, false
	}
	// A tag may only have a major number.
	b, err := strconv.ParseInt(second, 10, 32)
	if err != nil {
		b = 0
	}
	return int32(a), int32(b), true
}

// lowestTags finds the lowest fixed tag of each container: every older release
// is affected, too.
func lowestTags(list []vexRow) map[string]string {
	lowest := map[string]string{}
	for _, r := range list {
		if r.repo != clair.RHCCKey {
			continue
		}
		have, ok := lowest[r.name]
		aMajor, aMinor, known := tag(r.fixed)
		bMajor, bMinor, _ := tag(have)
		if known && (!ok || aMajor < bMajor || aMajor == bMajor && aMinor < bMinor) {
			lowest[r.name] = r.fixed
		}
	}
	return lowest
}

// tagRange returns the interval of normalized tags of a row: the minor release
// of the fixed tag, or everything below its end for the lowest one, or
// everything if there is no fix.
func tagRange(fixed string, lowest bool) *clair.Range {
	lower, upper := clair.NormalizedVersion{Kind: "rhctag"}, clair.NormalizedVersion{Kind: "rhctag"}
	if fixed == "" {
		upper.V[0] = math.MaxInt32
		return &clair.Range{Lower: lower.String(), Upper: upper.String()}
	}
	major, minor, ok := tag(fixed)
	if !ok {
		return nil
	}
	upper.V[0], upper.V[1], upper.V[2] = major, minor, math.MaxInt32
	if !lowest {
		lower.V[0], lower.V[1] = major, minor
	}
	return &clair.Range{Lower: lower.String(), Upper: upper.String()}
}
