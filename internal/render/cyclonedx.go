package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"oriel/clair"
)

// CycloneDX writes a bill of materials of version 1.6 with all packages and
// their vulnerabilities.
func CycloneDX(w io.Writer, r *Report) error {
	s := newStream(w)
	s.open("", "{")
	s.put("$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json")
	s.put("bomFormat", cdx.BOMFormat)
	s.put("specVersion", cdx.SpecVersion1_6)
	s.put("serialNumber", serialNumber(r))
	s.put("version", 1)
	s.put("metadata", cdxMetadata(r))
	s.open("components", "[")
	for _, p := range r.Packages {
		s.put("", cdxComponent(p))
	}
	s.close("]")
	s.open("vulnerabilities", "[")
	// Each vulnerability is written once and lists all packages it affects.
	var order []*Vulnerability
	affects := map[*Vulnerability][]Finding{}
	for _, f := range r.Findings {
		if affects[f.Vulnerability] == nil {
			order = append(order, f.Vulnerability)
		}
		affects[f.Vulnerability] = append(affects[f.Vulnerability], f)
	}
	for _, v := range order {
		s.put("", cdxVulnerability(v, affects[v]))
	}
	s.close("]")
	s.close("\n}")
	return s.done()
}

// serialNumber is the same for equal reports, which are the same document.
func serialNumber(r *Report) string {
	key := fmt.Sprintf("oriel %s %s %s", r.Manifest, r.Name, r.Made.Format(time.RFC3339Nano))
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(key)).URN()
}

func cdxMetadata(r *Report) *cdx.Metadata {
	m := &cdx.Metadata{
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "Oriel", Version: r.Tool}}},
		Component: &cdx.Component{BOMRef: "input", Type: cdx.ComponentTypeContainer, Name: r.Name, Version: string(r.Manifest)},
	}
	if m.Component.Name == "" {
		m.Component.Name = string(r.Manifest)
	}
	if !r.Made.IsZero() {
		m.Timestamp = r.Made.Format(time.RFC3339)
	}
	var p properties
	if !r.DataTime.IsZero() {
		p.add("oriel:data-time", r.DataTime.Format(time.RFC3339))
	}
	for _, warning := range r.Warnings() {
		p.add("oriel:warning", warning)
	}
	for i := range r.NotCovered {
		p.add("oriel:not-covered", r.NotCovered[i].String())
	}
	for _, note := range r.Notes() {
		p.add("oriel:note", note)
	}
	for _, u := range r.Unmatched {
		p.add("oriel:unmatched", unmatchedText(u))
	}
	for _, i := range r.Incomparable {
		p.add("oriel:not-compared", i.String())
	}
	m.Properties = p.list()
	return m
}

// properties collects the properties that have a value.
type properties []cdx.Property

func (p *properties) add(name, value string) {
	if value != "" {
		*p = append(*p, cdx.Property{Name: name, Value: value})
	}
}

func (p *properties) list() *[]cdx.Property {
	if len(*p) == 0 {
		return nil
	}
	return (*[]cdx.Property)(p)
}

func packageRef(p *Package) string { return "package-" + p.ID }

func cdxComponent(p *Package) cdx.Component {
	c := cdx.Component{
		BOMRef: packageRef(p), Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version,
		CPE: p.CPE, PackageURL: p.PURL,
	}
	var props properties
	props.add("oriel:kind", p.Kind)
	for _, at := range p.Places {
		props.add("oriel:package-db", at.PackageDB)
		props.add("oriel:layer", string(at.Layer))
		props.add("oriel:distribution", at.Distribution)
		props.add("oriel:repository", at.Repository)
	}
	c.Properties = props.list()
	return c
}

func cdxVulnerability(v *Vulnerability, findings []Finding) cdx.Vulnerability {
	out := cdx.Vulnerability{
		BOMRef: "vulnerability-" + v.ID, ID: v.Name, Source: &cdx.Source{Name: v.Feed}, Description: v.Description,
	}
	ratings := cdxRatings(v)
	out.Ratings = &ratings
	var refs []cdx.VulnerabilityReference
	for _, a := range v.otherIDs() {
		refs = append(refs, cdx.VulnerabilityReference{ID: a, Source: &cdx.Source{Name: v.Feed}})
	}
	if refs != nil {
		out.References = &refs
	}
	var advisories []cdx.Advisory
	for _, l := range v.Links {
		advisories = append(advisories, cdx.Advisory{URL: l})
	}
	if advisories != nil {
		out.Advisories = &advisories
	}
	if !v.Issued.IsZero() {
		out.Published = v.Issued.UTC().Format(time.RFC3339)
	}
	var affects []cdx.Affects
	for _, f := range findings {
		affects = append(affects, cdxAffects(f))
	}
	out.Affects = &affects
	var props properties
	props.add("oriel:priority", v.Priority.Level.String())
	if v.Priority.KEV {
		props.add("oriel:known-exploited", "true")
	}
	if v.Fixed != "" {
		out.Recommendation = "Update to " + v.Fixed + "."
		props.add("oriel:fixed-version", v.Fixed)
	}
	for _, f := range findings {
		for _, source := range f.Sources {
			if source.Why != (Why{}) {
				props.add("oriel:why", f.Package.Name+": "+source.Why.String())
			}
		}
	}
	out.Properties = props.list()
	return out
}

// cdxRatings returns the feed's severity, the CVSS score and the EPSS score, as
// far as they are known.
func cdxRatings(v *Vulnerability) []cdx.VulnerabilityRating {
	var ratings []cdx.VulnerabilityRating
	if !v.Scored {
		ratings = append(ratings, cdx.VulnerabilityRating{Source: &cdx.Source{Name: v.Feed}, Severity: cdxSeverity(v.Severity)})
	}
	if v.Priority.CVSS != nil {
		score := cdx.VulnerabilityRating{
			Source: &cdx.Source{Name: "CVSS"}, Score: v.Priority.CVSS, Method: cdxMethod(v.Priority.Vector), Vector: v.Priority.Vector,
		}
		if v.Scored {
			score.Severity = cdxSeverity(v.Severity)
		}
		ratings = append(ratings, score)
	}
	if v.Priority.EPSS != nil {
		ratings = append(ratings, cdx.VulnerabilityRating{
			Source: &cdx.Source{Name: "EPSS", URL: "https://www.first.org/epss/"}, Score: v.Priority.EPSS, Method: cdx.ScoringMethodOther,
		})
	}
	return ratings
}

func cdxAffects(f Finding) cdx.Affects {
	a := cdx.Affects{Ref: packageRef(f.Package)}
	if f.Package.Version != "" {
		a.Range = &[]cdx.AffectedVersions{{Version: f.Package.Version, Status: cdx.VulnerabilityStatusAffected}}
	}
	return a
}

func cdxSeverity(s clair.Severity) cdx.Severity {
	switch s {
	case clair.Critical:
		return cdx.SeverityCritical
	case clair.High:
		return cdx.SeverityHigh
	case clair.Medium:
		return cdx.SeverityMedium
	case clair.Low:
		return cdx.SeverityLow
	case clair.Negligible:
		return cdx.SeverityInfo
	}
	return cdx.SeverityUnknown
}

// cdxMethod returns the version of CVSS of a vector. Vectors of version 2 have
// no prefix.
func cdxMethod(vector string) cdx.ScoringMethod {
	switch {
	case strings.HasPrefix(vector, "CVSS:4"):
		return cdx.ScoringMethodCVSSv4
	case strings.HasPrefix(vector, "CVSS:3.1"):
		return cdx.ScoringMethodCVSSv31
	case strings.HasPrefix(vector, "CVSS:3"):
		return cdx.ScoringMethodCVSSv3
	case strings.HasPrefix(vector, "AV:"):
		return cdx.ScoringMethodCVSSv2
	}
	return cdx.ScoringMethodOther
}
