package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	// weighEvery is how often the process is weighed.
	weighEvery = 500 * time.Millisecond
	// memoryMargin is what may be added between two weighings.
	memoryMargin = 14 << 20
)

// keepMemory keeps Go's limit at the memory limit less the memory that the
// process uses outside Go's heap, until the context ends. SQLite's working memory and the
// resident part of the program cannot be limited, only measured. If the system
// does not report them, Go's limit stays as it was.
func keepMemory(ctx context.Context, limit int64, b Budget) error {
	tick := time.NewTicker(weighEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		resident, ok := residentMemory()
		if !ok {
			return nil
		}
		debug.SetMemoryLimit(goShare(limit, resident-goMemory(), b.Heap))
	}
}

// goShare returns Go's limit if the rest of the process needs so much: at most
// its planned share, and at least half of it, since with less it would do
// nothing but collect garbage.
func goShare(limit, rest, most int64) int64 {
	return max(most/2, min(most, limit-memoryMargin-rest))
}

// goLimit returns the current limit of Go's runtime, in bytes.
func goLimit() int64 { return debug.SetMemoryLimit(-1) }

// goMemory returns how much of the machine's memory Go's runtime holds, in
// bytes.
func goMemory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// residentMemory returns the process's resident set in bytes, if the system
// reports it (proc_pid_statm(5)).
func residentMemory() (int64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}

// gcPercent lets the heap grow to five times the live data before it is
// collected: there are few live data, and the memory limit bounds the heap.
// At Go's own 100 a report spends a fifth of its time in collections.
const gcPercent = 400

// Budget is how the memory limit is divided.
type Budget struct {
	// SQLite bounds the page caches, in bytes. They are outside Go's heap.
	SQLite int64
	// Heap is Go's soft limit for all its memory, in bytes.
	Heap int64
	// Heavy is how many requests may hold whole reports at once.
	Heavy int
	// Connections is how many bytes of the heap clients' connections may use.
	Connections int64
	// Requests is how many bytes of the heap request bodies and streams of
	// HTTP/2 may use.
	Requests int64
}

const (
	// programMemory is for the program's own pages and SQLite's working memory,
	// in addition to caches and heap.
	programMemory = 24 << 20
	// reportMemory is the memory for making one large report.
	reportMemory = 24 << 20
)

// TakeMemory divides the memory limit and sets Go's part of it in the runtime.
func TakeMemory(cfg *Config) Budget {
	b := divide(int64(cfg.Memory.Limit), int64(cfg.Window.Memory))
	debug.SetMemoryLimit(b.Heap)
	return b
}

// divide divides the memory limit: an eighth for SQLite's caches, the
// configured size for the window, and a third each of the rest of the heap for
// reports and for connections.
func divide(limit, window int64) Budget {
	b := Budget{SQLite: limit / 8}
	b.Heap = limit - b.SQLite - programMemory
	b.Heavy = int(max(1, (b.Heap-window)/3/reportMemory))
	b.Connections = (b.Heap - window) / 3
	b.Requests = (b.Heap - window) / 6
	return b
}

// bundleMemory limits export and import: they hold a few batches and the
// windows of a compressor, and more would only be garbage.
const bundleMemory = 64 << 20

// TakeBundleMemory does for export and import what TakeMemory does for the
// server.
func TakeBundleMemory(cfg *Config) Budget {
	b := divide(min(int64(cfg.Memory.Limit), bundleMemory), 0)
	debug.SetMemoryLimit(b.Heap)
	return b
}
