package render

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"oriel/clair"
	"oriel/internal/severity"
)

//go:embed report.gohtml
var page string

// HTML writes one self-contained page: it needs no script, font, image or
// network. html/template escapes all texts from packages and feeds.
func HTML(w io.Writer, r *Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"lower": func(s clair.Severity) string { return strings.ToLower(s.String()) },
		"short": shortDigest, "percent": percent, "severities": severity.All, "plural": plural, "cvss": cvssText, "others": (*Vulnerability).otherIDs,
		"count": func(s clair.Severity) int { return r.Counts[s] },
		"share": func(n int) string { return fmt.Sprintf("%.2f%%", 100*float64(n)/float64(max(len(r.Findings), 1))) },
	}).Parse(page)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	if err := t.Execute(b, r); err != nil {
		return err
	}
	return b.Flush()
}

// shortDigest returns enough of a digest to distinguish it by eye.
func shortDigest(d clair.Digest) string {
	algorithm, sum, _ := strings.Cut(string(d), ":")
	if len(sum) <= 12 {
		return string(d)
	}
	return algorithm + ":" + sum[:12] + "…"
}
