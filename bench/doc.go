// Package bench measures Oriel with fixed inputs. Run it with
//
//	go test -run '^$' -bench . -benchtime 1x ./bench
//
// Every figure is a custom metric in addition to Go's own. ORIEL_BENCH_ROWS
// selects the sizes (default "100000,500000"). bench/compare runs the benchmarks
// with held figures on two revisions.
package bench
