package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"oriel/clair"
)

const sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"

// SARIF writes a log of version 2.1.0 with one rule for each name of a
// vulnerability and one result for each finding.
func SARIF(w io.Writer, r *Report) error {
	s := newStream(w)
	s.open("", "{")
	s.put("$schema", sarifSchema)
	s.put("version", "2.1.0")
	s.open("runs", "[")
	s.open("", "{")
	index := sarifTool(s, r)
	s.put("columnKind", "utf16CodeUnits")
	s.put("invocations", []sarifInvocation{{Successful: true, Notifications: sarifNotes(r)}})
	s.open("results", "[")
	prints := fingerprints{}
	for _, f := range r.Findings {
		s.put("", sarifResultOf(r, f, index[f.Vulnerability.Name], prints))
	}
	s.close("]")
	s.put("properties", map[string]any{"input": r.Name, "manifest": r.Manifest})
	s.close("}")
	s.close("]")
	s.close("\n}")
	return s.done()
}

type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Name       string         `json:"name"`
		Short      sarifText      `json:"shortDescription"`
		Full       sarifText      `json:"fullDescription"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Help       sarifText      `json:"help"`
		Config     sarifConfig    `json:"defaultConfiguration"`
		Properties sarifRuleProps `json:"properties"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifRuleProps struct {
		SecuritySeverity string   `json:"security-severity,omitempty"`
		Precision        string   `json:"precision"`
		Tags             []string `json:"tags"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifResultProps  `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
		Message  sarifText      `json:"message"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Full string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifResultProps struct {
		Severity clair.Severity `json:"severity"`
		Feed     string         `json:"feed"`
		Package  string         `json:"package"`
		Version  string         `json:"version"`
		PURL     string         `json:"purl,omitempty"`
		Fixed    string         `json:"fixedVersion,omitempty"`
		KEV      bool           `json:"knownExploited"`
		EPSS     *float64       `json:"epss,omitempty"`
		CVSS     *float64       `json:"cvss,omitempty"`
		Vector   string         `json:"cvssVector,omitempty"`
		Rule     string         `json:"matchRule,omitempty"`
		Affected string         `json:"affectedVersions,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool        `json:"executionSuccessful"`
		Notifications []sarifNote `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNote struct {
		Descriptor sarifDescriptor `json:"descriptor"`
		Level      string          `json:"level"`
		Message    sarifText       `json:"message"`
	}
	sarifDescriptor struct {
		ID string `json:"id"`
	}
)

// sarifTool writes the tool and its rules, and returns the index of
// each rule by its id.
func sarifTool(s *stream, r *Report) map[string]int {
	index := map[string]int{}
	s.open("tool", "{")
	s.open("driver", "{")
	s.put("name", "Oriel")
	if r.Tool != "" {
		s.put("version", r.Tool)
	}
	s.open("rules", "[")
	// Several feeds may have vulnerabilities of one name. The most urgent one
	// comes first and becomes the rule.
	for _, f := range r.Findings {
		v := f.Vulnerability
		if _, twice := index[v.Name]; !twice {
			index[v.Name] = len(index)
			s.put("", sarifRuleOf(v))
		}
	}
	s.close("]")
	s.close("}")
	s.close("}")
	return index
}

// sarifLimit is the longest description that GitHub accepts.
const sarifLimit = 1024

func sarifRuleOf(v *Vulnerability) sarifRule {
	text := v.Description
	if text == "" {
		text = v.Name + " from " + v.Feed
	}
	first, _, _ := strings.Cut(text, "\n")
	help := []string{text}
	if others := v.otherIDs(); len(others) > 0 {
		help = append(help, "Also known as "+strings.Join(others, ", ")+".")
	}
	help = append(help, v.Links...)
	return sarifRule{
		ID: v.Name, Name: v.Name, Short: sarifText{cut(v.Name+": "+first, sarifLimit)}, Full: sarifText{cut(text, sarifLimit)},
		HelpURI: v.Link(), Help: sarifText{strings.Join(help, "\n\n")}, Config: sarifConfig{sarifLevel(v.Severity)},
		Properties: sarifRuleProps{
			SecuritySeverity: securitySeverity(v), Precision: "very-high",
			Tags: []string{"security", "vulnerability", v.Severity.String()},
		},
	}
}

func sarifLevel(s clair.Severity) string {
	switch s {
	case clair.Critical, clair.High:
		return "error"
	case clair.Low, clair.Negligible:
		return "note"
	}
	return "warning" // an unknown severity may be a high one
}

// securitySeverity returns the number that GitHub turns back into a severity:
// the CVSS score, moved into the band of the severity, since a distribution's
// severity may differ from the score and all formats must agree.
func securitySeverity(v *Vulnerability) string {
	low, high := 0.1, 10.0
	switch v.Severity {
	case clair.Critical:
		low, high = 9.1, 10
	case clair.High:
		low, high = 7, 8.9
	case clair.Medium:
		low, high = 4, 6.9
	case clair.Low:
		low, high = 0.1, 3.9
	case clair.Negligible:
		low, high = 0.1, 0.1
	default:
		if v.Priority.CVSS == nil {
			return ""
		}
	}
	score := low
	if v.Priority.CVSS != nil {
		score = min(max(*v.Priority.CVSS, low), high)
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

func sarifResultOf(r *Report, f Finding, rule int, prints fingerprints) sarifResult {
	p, v := f.Package, f.Vulnerability
	at := p.Place()
	text := fmt.Sprintf("%s %s is affected by %s (%s)", p.Name, p.Version, v.Name, v.Severity)
	if v.Fixed != "" {
		text += ", fixed in " + v.Fixed
	}
	if v.Priority.KEV {
		text += "; it is known to be exploited"
	}
	full := p.PURL
	if full == "" {
		full = p.Name + "@" + p.Version
	}
	mark := prints.of(v.Name, p.Name, p.Kind, at.PackageDB)
	return sarifResult{
		RuleID: v.Name, RuleIndex: rule, Level: sarifLevel(v.Severity), Message: sarifText{text + "."},
		Locations: []sarifLocation{{
			// GitHub requires a line, which a package database does not have.
			Physical: sarifPhysical{sarifArtifact{artifactURI(at.PackageDB, r.Name)}, sarifRegion{1}},
			Logical:  []sarifLogical{{Name: p.Name, Full: full, Kind: "package"}},
			Message:  sarifText{strings.TrimSpace(p.Name + " " + p.Version)},
		}},
		// GitHub reads only the first one.
		Fingerprints: map[string]string{"primaryLocationLineHash": mark, "orielFinding/v1": mark},
		Properties: sarifResultProps{
			Severity: v.Severity, Feed: v.Feed, Package: p.Name, Version: p.Version, PURL: p.PURL, Fixed: v.Fixed,
			KEV: v.Priority.KEV, EPSS: v.Priority.EPSS, CVSS: v.Priority.CVSS, Vector: v.Priority.Vector,
			Rule: f.Why().Rule, Affected: f.Why().Affected,
		},
	}
}

// fingerprints makes the marks that identify a finding across reports. The
// version is not part of them, since an update without the fix does not make a
// new finding. Findings with the same mark are numbered.
type fingerprints map[string]int

func (p fingerprints) of(parts ...string) string {
	key := strings.Join(parts, "\x00")
	p[key]++
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16]) + ":" + strconv.Itoa(p[key])
}

// dbKind is a prefix of the path of a package database, such as "sqlite:".
var dbKind = regexp.MustCompile(`^[a-z]+:`)

// artifactURI returns the path of a package database as a relative reference, or
// that of the input if there is none.
func artifactURI(db, input string) string {
	path := strings.TrimLeft(dbKind.ReplaceAllString(db, ""), "/")
	if path == "" {
		path = strings.TrimLeft(input, "/")
	}
	if path == "" {
		path = "manifest"
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A")
	}
	return strings.Join(segments, "/")
}

// sarifNotes returns the reasons why the log may be incomplete.
func sarifNotes(r *Report) []sarifNote {
	var out []sarifNote
	add := func(id, level, text string) {
		out = append(out, sarifNote{sarifDescriptor{id}, level, sarifText{text}})
	}
	for _, line := range r.NotCoveredLines() {
		add("not-covered", "warning", line)
	}
	for _, warning := range r.Warnings() {
		add("incomplete", "warning", warning)
	}
	for _, note := range r.Notes() {
		add("note", "note", note)
	}
	for _, u := range r.Unmatched {
		add("not-matched", "note", "Not matched: "+unmatchedText(u))
	}
	for _, i := range r.Incomparable {
		add("not-compared", "note", "Versions not compared: "+i.String())
	}
	for _, f := range r.Failed {
		add("gate", "error", f.String())
	}
	return out
}
