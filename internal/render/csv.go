package render

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"oriel/internal/severity"
)

// CSV writes one record for each finding in the format of RFC 4180. A cell that
// a spreadsheet would take for a formula begins with an apostrophe; the purl
// column has such names unchanged.
func CSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write([]string{
		"package", "version", "kind", "arch", "package_db", "layer", "distribution", "repository", "purl",
		"vulnerability", "aliases", "severity", "priority", "kev", "epss", "cvss", "cvss_vector", "fixed_version",
		"feed", "rule", "matched", "matched_kind", "affected", "links", "description",
	}); err != nil {
		return err
	}
	for _, f := range r.Findings {
		p, v, at, why := f.Package, f.Vulnerability, f.Package.Place(), f.Why()
		record := []string{
			p.Name, p.Version, p.Kind, p.Arch, at.PackageDB, string(at.Layer), at.Distribution, at.Repository, p.PURL,
			v.Name, strings.Join(v.otherIDs(), " "), v.Severity.String(), v.Priority.Level.String(), strconv.FormatBool(v.Priority.KEV),
			epssText(v.Priority), cvssText(v.Priority), v.Priority.Vector, v.Fixed,
			v.Feed, why.Rule, why.Matched, why.Kind, why.Affected, strings.Join(v.Links, " "), v.Description,
		}
		for i, cell := range record {
			record[i] = inert(cell)
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// inert prevents spreadsheets from evaluating a cell.
func inert(cell string) string {
	if cell != "" && strings.IndexByte("=+-@\t\r\n", cell[0]) >= 0 {
		return "'" + cell
	}
	return cell
}

// epssText returns the EPSS score in the precision of its feed, "" if unknown.
func epssText(p severity.Priority) string {
	if p.EPSS == nil {
		return ""
	}
	return strconv.FormatFloat(*p.EPSS, 'f', 5, 64)
}

// cvssText returns the CVSS score, "" if unknown.
func cvssText(p severity.Priority) string {
	if p.CVSS == nil {
		return ""
	}
	return strconv.FormatFloat(*p.CVSS, 'f', 1, 64)
}
