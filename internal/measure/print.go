package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// longFunction is the length from which a function is listed.
const longFunction = 60

// A room is one package of the module.
type room struct {
	files, lines, testLines int
	imports                 map[string]bool
}

// printRooms prints the size of the root and of each package, and how many
// packages of the module each imports.
func (t *tree) printRooms(w io.Writer) {
	rooms := map[string]*room{}
	for _, f := range t.files {
		r := rooms[f.room]
		if r == nil {
			r = &room{imports: map[string]bool{}}
			rooms[f.room] = r
		}
		if f.test {
			r.testLines += f.lines
			continue
		}
		r.files++
		r.lines += f.lines
		for _, p := range t.imports(f) {
			r.imports[p] = true
		}
	}
	entries, err := os.ReadDir(t.dir)
	if err == nil {
		fmt.Fprintf(w, "root: %d entries", len(entries))
	}
	if root := rooms["."]; root != nil {
		fmt.Fprintf(w, ", %d Go files with %d lines, and %d lines of tests", root.files, root.lines, root.testLines)
	}
	fmt.Fprint(w, "\n\nrooms\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "room\tfiles\tlines\ttest lines\timports of the module\n")
	total, fanOut := room{}, []int(nil)
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		r := rooms[name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", name, r.files, r.lines, r.testLines, len(r.imports))
		total.files += r.files
		total.lines += r.lines
		total.testLines += r.testLines
		if r.files > 0 {
			fanOut = append(fanOut, len(r.imports))
		}
	}
	fmt.Fprintf(table, "all\t%d\t%d\t%d\t%s\n", total.files, total.lines, total.testLines, spread(fanOut))
	table.Flush()
}

// printSizes prints the sizes of files and functions.
func (t *tree) printSizes(w io.Writer) {
	files := t.production()
	var lengths []int
	var largest file
	for _, f := range files {
		lengths = append(lengths, f.lines)
		if f.lines > largest.lines {
			largest = f
		}
	}
	fmt.Fprintf(w, "\nfiles: %s lines (%s)\n", spread(lengths), largest.name)

	functions := t.functions(files)
	lengths = nil
	var long []function
	for _, fn := range functions {
		lengths = append(lengths, fn.lines)
		if fn.lines > longFunction {
			long = append(long, fn)
		}
	}
	fmt.Fprintf(w, "functions: %d, %s lines, %d over %d\n", len(functions), spread(lengths), len(long), longFunction)
	for _, fn := range long {
		fmt.Fprintf(w, "  %s in %s: %d\n", fn.name, fn.file, fn.lines)
	}
}

// printDB prints how many methods store.DB has.
func (t *tree) printDB(w io.Writer) {
	var files []file
	for _, f := range t.production() {
		if f.room == "store" {
			files = append(files, f)
		}
	}
	exported, all := 0, 0
	for _, fn := range t.functions(files) {
		name, ok := strings.CutPrefix(fn.name, "DB.")
		if !ok {
			continue
		}
		all++
		if name[:1] == strings.ToUpper(name[:1]) {
			exported++
		}
	}
	fmt.Fprintf(w, "methods of store.DB: %d, %d of them exported\n", all, exported)
}

// printTests prints how many test functions there are.
func (t *tree) printTests(w io.Writer) {
	counts := map[string]int{}
	for _, f := range t.files {
		if !f.test {
			continue
		}
		for _, fn := range t.functions([]file{f}) {
			for _, kind := range []string{"Test", "Fuzz", "Benchmark", "Example"} {
				if strings.HasPrefix(fn.name, kind) && fn.name != "TestMain" {
					counts[kind]++
				}
			}
		}
	}
	fmt.Fprintf(w, "\ntest functions: %d tests, %d fuzz targets, %d benchmarks, %d examples\n",
		counts["Test"], counts["Fuzz"], counts["Benchmark"], counts["Example"])
}

// spread returns the median, the 95th percentile and the largest of sizes.
func spread(sizes []int) string {
	if len(sizes) == 0 {
		return "none"
	}
	slices.Sort(sizes)
	at := func(p int) int { return sizes[min(len(sizes)-1, len(sizes)*p/100)] }
	return fmt.Sprintf("median %d, p95 %d, max %d", at(50), at(95), sizes[len(sizes)-1])
}
