package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteTable(t *testing.T) {
	a, b := &side{name: "old", figures: figures{}}, &side{name: "new", figures: figures{}}
	for _, rows := range []string{"20000", "30000", "25000"} {
		a.figures.add("goos: linux\nBenchmarkStore/100000-2 \t 1\t 5123 ns/op\t " + rows + " first-rows/s\t 12.5 db-MB\nPASS\n")
	}
	b.figures.add("BenchmarkStore/100000-2 \t 1\t 5123 ns/op\t 27500 first-rows/s\t 12.5 db-MB\nBenchmarkServe/100000-2 1 9 ns/op 31.24 idle-MB\n")
	var out strings.Builder
	require.NoError(t, writeTable(&out, a, b, false))
	require.Equal(t, strings.TrimLeft(`
| figure               | old   | new   | change |
|---                   |---    |---    |---     |
| first import, rows/s | 25000 | 27500 | +10.0% |
| database, MB         | 12.5  | 12.5  | +0.0%  |
| idle daemon, MB      |       | 31.2  |        |
`, "\n"), out.String())
	out.Reset()
	require.NoError(t, writeTable(&out, a, b, true))
	require.Contains(t, out.String(), "| Store ns/op")
}

func TestRun_Usage(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b", "c"}, {"-nosuch", "a"}} {
		t.Run(strings.Join(args, "_"), func(t *testing.T) {
			var out strings.Builder
			require.Error(t, run(t.Context(), args, &out, &out))
		})
	}
}
