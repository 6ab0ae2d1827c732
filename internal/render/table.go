package render

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"oriel/clair"
	"oriel/internal/sanitize"
	"oriel/internal/severity"
)

// TableOptions is the appearance of a table.
type TableOptions struct {
	// Width is that of the terminal; longer names are cut to fit. If it is 0,
	// as for a file or a pipe, nothing is cut.
	Width int
	Color bool
}

// Table writes findings for people, most urgent first, then the reasons why
// there may be more, then the counts.
func Table(o TableOptions) func(io.Writer, *Report) error {
	return func(w io.Writer, r *Report) error {
		if err := o.findings(w, r); err != nil {
			return err
		}
		if err := o.unmatched(w, r); err != nil {
			return err
		}
		for _, warning := range r.Warnings() {
			if _, err := fmt.Fprintln(w, "! "+sanitize.Line(warning)); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(w, r.Summary())
		return err
	}
}

const columns = 6

// gap is the space between columns, and narrowest the width that no column is
// cut below.
const (
	gap       = 2
	narrowest = 8
)

func cells(f Finding) [columns]string {
	p, v := f.Package, f.Vulnerability
	return [columns]string{v.Severity.String(), p.Name, p.Version, v.Fixed, strings.Join(v.Names, ", "), urgency(v.Priority)}
}

// urgency returns the facts of a priority in a few words.
func urgency(p severity.Priority) string {
	var parts []string
	switch {
	case p.KEV && p.Ransomware:
		parts = append(parts, "EXPLOITED (ransomware)")
	case p.KEV:
		parts = append(parts, "EXPLOITED")
	}
	if p.EPSS != nil {
		parts = append(parts, "EPSS "+percent(*p.EPSS))
	}
	if s := cvssText(p); s != "" {
		parts = append(parts, "CVSS "+s)
	}
	return strings.Join(parts, ", ")
}

// percent returns a probability with the significant digits.
func percent(p float64) string {
	if p < 0.1 {
		return fmt.Sprintf("%.2f%%", p*100)
	}
	return fmt.Sprintf("%.0f%%", p*100)
}

func (o TableOptions) findings(w io.Writer, r *Report) error {
	if len(r.Findings) == 0 {
		return nil
	}
	header := [columns]string{"SEVERITY", "PACKAGE", "VERSION", "FIXED IN", "VULNERABILITY", "URGENCY"}
	widths := o.widths(header, r.Findings)
	t := tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)
	if err := o.row(t, header, widths, "01"); err != nil {
		return err
	}
	for _, f := range r.Findings {
		if err := o.row(t, cells(f), widths, color(f.Vulnerability)); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// widths returns the widths of the columns, of which the widest are cut until
// the row fits.
func (o TableOptions) widths(header [columns]string, findings []Finding) [columns]int {
	var widths [columns]int
	measure := func(row [columns]string) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	measure(header)
	for _, f := range findings {
		measure(cells(f))
	}
	total := gap * (columns - 1)
	for _, n := range widths {
		total += n
	}
	for o.Width > 0 && total > o.Width {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= narrowest {
			break
		}
		widths[widest]--
		total--
	}
	return widths
}

// row writes one line. Every first cell has escape sequences of the same
// length, since the tabwriter counts them.
func (o TableOptions) row(w io.Writer, row [columns]string, widths [columns]int, sgr string) error {
	for i, cell := range row {
		row[i] = cut(cell, widths[i])
	}
	if o.Color {
		row[0] = "\x1b[" + sgr + "m" + row[0] + "\x1b[0m"
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(row[:], "\t"), "\t"))
	return err
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width-1, 0)]) + "…"
}

// color returns the two digits of the escape sequence for a vulnerability.
func color(v *Vulnerability) string {
	switch {
	case v.Priority.KEV, v.Severity == clair.Critical:
		return "35"
	case v.Severity == clair.High:
		return "31"
	case v.Severity == clair.Medium:
		return "33"
	}
	return "00"
}

// linesShown is the number of lines of each kind that a terminal shows.
const linesShown = 10

// unmatched writes the places that are not covered, and the packages that could
// not be matched or compared.
func (o TableOptions) unmatched(w io.Writer, r *Report) error {
	var b strings.Builder
	var lines []string
	for _, u := range r.Unmatched {
		lines = append(lines, "Not matched: "+unmatchedText(u))
	}
	o.lines(&b, r.NotCoveredLines(), "Not covered: ")
	o.lines(&b, r.Notes(), "Notes: ")
	o.lines(&b, lines, "Not matched: ")
	lines = nil
	for _, i := range r.Incomparable {
		// The ids are in the other formats and in --why: here they would look
		// like findings to whoever searches for one.
		lines = append(lines, fmt.Sprintf("  %s %s: %s, %s", i.Package, i.Version, advisories(len(i.Advisories)), i.Reason))
	}
	if r.Pairs > 0 {
		b.WriteString(plural(r.Pairs, "pair") + " of versions could not be compared:\n")
	}
	o.lines(&b, lines, "  ")
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines writes some lines, of which a terminal shows the first.
func (o TableOptions) lines(b *strings.Builder, lines []string, prefix string) {
	for i, line := range lines {
		if o.Width > 0 {
			if i == linesShown {
				line = fmt.Sprintf("%s%d more", prefix, len(lines)-i)
			}
			line = cut(line, o.Width)
		}
		b.WriteString(line + "\n")
		if o.Width > 0 && i == linesShown {
			return
		}
	}
}

func advisories(n int) string {
	if n == 1 {
		return "1 advisory"
	}
	return fmt.Sprintf("%d advisories", n)
}
