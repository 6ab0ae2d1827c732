package match

import (
	"cmp"

	"oriel/clair"
	"oriel/internal/cpe"
)

// rhelCPEs returns the repositories that a system of a release of Red Hat
// Enterprise Linux may have installed packages from, for records without a
// repository: packages of a host, or of an SBOM. Streams that stay at a minor
// release are not among them.
func rhelCPEs(release string) []string {
	linux := ":redhat:enterprise_linux:" + release
	switch release {
	case "5", "6", "7":
		return []string{
			"cpe:/o" + linux + "::server", "cpe:/o" + linux + "::client", "cpe:/o" + linux + "::workstation", "cpe:/o" + linux + "::computenode",
			"cpe:/a:redhat:rhel_extras:" + release, "cpe:/a:redhat:rhel_extras_rt:" + release,
			"cpe:/a:redhat:rhel_extras_sap:" + release, "cpe:/a:redhat:rhel_extras_sap_hana:" + release, "cpe:/o:redhat:rhel_els:" + release,
		}
	}
	out := []string{"cpe:/o" + linux + "::baseos"}
	for _, name := range []string{
		"appstream", "crb", "highavailability", "resilientstorage", "nfv", "realtime", "sap", "sap_hana", "supplementary",
	} {
		out = append(out, "cpe:/a"+linux+"::"+name)
	}
	return out
}

// cpes parses CPEs, each once.
type cpes map[string]*cpe.Name

// parse returns nil if the text is not a CPE.
func (c cpes) parse(text string) *cpe.Name {
	name, known := c[text]
	if !known {
		if parsed, err := cpe.Parse(text); err == nil {
			parsed = parsed.Mainline()
			name = &parsed
		}
		c[text] = name
	}
	return name
}

// products are the CPEs of a record, which may be from any of them.
type products struct {
	texts []string
	names []*cpe.Name // without those that are not CPEs
	cpes  cpes
}

func newProducts(c cpes, texts ...string) *products {
	p := &products{texts: texts, cpes: c}
	for _, text := range texts {
		if name := c.parse(text); name != nil {
			p.names = append(p.names, name)
		}
	}
	return p
}

// productsOf returns the products of a repository: its CPE, or else its name.
func productsOf(c cpes, repo *clair.Repository) *products {
	return newProducts(c, cmp.Or(repo.CPE, repo.Name))
}

// fit reports whether an advisory, whose CPE is the name of its repository, is
// about one of the products. A text that is not a CPE fits only itself.
func (p *products) fit(advisory *clair.Repository) bool {
	if p == nil || advisory == nil {
		return false
	}
	for _, text := range p.texts {
		if text != "" && text == advisory.Name {
			return true
		}
	}
	about := p.cpes.parse(advisory.Name)
	if about == nil {
		return false
	}
	for _, name := range p.names {
		if about.Covers(*name) {
			return true
		}
	}
	return false
}
