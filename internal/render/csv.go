package render

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"oriel/internal/severity"
)

// CSV writes one record for each finding in the format of RFC 4180, and one for
// each place or package that the findings say nothing about; the column status
// distinguishes them. A cell that
// a spreadsheet would take for a formula begins with an apostrophe; the purl
// column has such names unchanged.
func CSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write([]string{
		"package", "version", "kind", "arch", "package_db", "layer", "distribution", "repository", "purl",
		"vulnerability", "aliases", "severity", "priority", "kev", "epss", "cvss", "cvss_vector", "fixed_version",
		"feed", "rule", "matched", "matched_kind", "affected", "links", "description",
		"status", "place", "packages", "reason", "hint",
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
			statusAffected, "", "", "", "",
		}
		if err := writeInert(c, record); err != nil {
			return err
		}
	}
	for _, record := range gapRecords(r) {
		if err := writeInert(c, record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// The values of the column status.
const (
	statusAffected    = "affected"
	statusNotCovered  = "not-covered"
	statusEnded       = "ended"
	statusNotMatched  = "not-matched"
	statusNotCompared = "not-compared"
)

// columns of CSV that gapRecords sets.
const (
	csvPackage       = 0
	csvVersion       = 1
	csvVulnerability = 9
	csvStatus        = 25
	csvColumns       = 30
)

// gapRecords returns the records of places that are not covered or have ended,
// and of packages that could not be matched or compared.
func gapRecords(r *Report) [][]string {
	var out [][]string
	add := func(status, place, packages, reason, hint string) []string {
		record := append(make([]string, csvStatus, csvColumns), status, place, packages, reason, hint)
		out = append(out, record)
		return record
	}
	for _, p := range r.NotCovered {
		add(statusNotCovered, p.Name, strconv.Itoa(p.Packages), string(p.Reason), p.Hint)
	}
	for _, p := range r.ended() {
		add(statusEnded, p.Name, strconv.Itoa(p.Packages), endedText(p), p.Hint)
	}
	for _, u := range r.Unmatched {
		record := add(statusNotMatched, "", "", u.Reason, "")
		record[csvPackage], record[csvVersion] = u.Package, u.Version
	}
	for _, i := range r.Incomparable {
		record := add(statusNotCompared, "", "", i.Reason, "")
		record[csvPackage], record[csvVersion], record[csvVulnerability] = i.Package, i.Version, strings.Join(i.Advisories, " ")
	}
	return out
}

func writeInert(c *csv.Writer, record []string) error {
	for i, cell := range record {
		record[i] = inert(cell)
	}
	return c.Write(record)
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
