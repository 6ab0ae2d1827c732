package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// held are the figures that a change must not make worse, in the order of the
// table: the benchmark without its sizes, the unit, and the name in the table.
var held = []struct{ benchmark, unit, name string }{
	{"Store", "first-rows/s", "first import, rows/s"},
	{"Store", "first-peak-MB", "first import, peak MB"},
	{"Store", "second-s", "second import, s"},
	{"Store", "db-MB", "database, MB"},
	{"Store", "wait-p99-ms", "other writer waits, p99 ms"},
	{"Store", "diff-rows/s", "diff, rows/s"},
	{"Store", "diff-first-ms", "diff, first row, ms"},
	{"Report", "process-p50-ms", "report in process, p50 ms"},
	{"Report", "process-cpu-ms", "report in process, CPU ms"},
	{"Report", "http-p50-ms", "report over HTTP, p50 ms"},
	{"Report", "http-cpu-ms", "report over HTTP, CPU ms"},
	{"Report", "coverage-p50-ms", "coverage of a report, p50 ms"},
	{"Affected", "vulns-1-ms", "affected by 1, ms"},
	{"Affected", "vulns-100-ms", "affected by 100, ms"},
	{"Affected", "vulns-1000-ms", "affected by 1000, ms"},
	{"Affected", "puts/s", "manifests put, 1/s"},
	{"Serve", "ready-ms", "daemon ready, ms"},
	{"Serve", "idle-MB", "idle daemon, MB"},
}

// figures are the values of each round, by benchmark and unit.
type figures map[key][]float64

type key struct{ benchmark, unit string }

// add reads the output of go test -bench.
func (f figures) add(output string) {
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "/")
		name, _, _ = strings.Cut(name, "-") // the number of processors
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			k := key{name, fields[i+1]}
			f[k] = append(f[k], value)
		}
	}
}

// median returns the median of the rounds; ok is false if there are none.
func (f figures) median(k key) (m float64, ok bool) {
	values := slices.Sorted(slices.Values(f[k]))
	if len(values) == 0 {
		return 0, false
	}
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2, true
	}
	return values[middle], true
}

// writeTable writes the figures of two sides and the change, as Markdown.
func writeTable(w io.Writer, a, b *side, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(t, "| figure\t| %s\t| %s\t| change\t|\n|---\t|---\t|---\t|---\t|\n", a.name, b.name)
	if all {
		var keys []key
		for k := range a.figures {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(x, y key) int { return strings.Compare(x.benchmark+" "+x.unit, y.benchmark+" "+y.unit) })
		for _, k := range keys {
			writeRow(t, a, b, k, k.benchmark+" "+k.unit)
		}
		return t.Flush()
	}
	for _, h := range held {
		writeRow(t, a, b, key{h.benchmark, h.unit}, h.name)
	}
	return t.Flush()
}

// writeRow writes a figure, unless neither side has it.
func writeRow(w io.Writer, a, b *side, k key, name string) {
	before, okBefore := a.figures.median(k)
	after, okAfter := b.figures.median(k)
	if !okBefore && !okAfter {
		return
	}
	change := ""
	if okBefore && okAfter && before != 0 {
		change = fmt.Sprintf("%+.1f%%", (after/before-1)*100)
	}
	fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t|\n", name, text(before, okBefore), text(after, okAfter), change)
}

// text returns a figure with three or four significant digits.
func text(x float64, ok bool) string {
	switch {
	case !ok:
		return ""
	case x >= 1000:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
