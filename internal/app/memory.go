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

// keepMemory gives Go's runtime what the rest of the process leaves of the
// limit, until the context ends. SQLite's working memory and the resident part
// of the program cannot be bounded, only weighed. Where the system does not
// tell, Go's share stays as it was.
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

// goShare is what Go may take where the rest of the process takes so much: at
// most its planned share, and half of that in any case, since with less it
// would do nothing but collect garbage.
func goShare(limit, rest, most int64) int64 {
	return max(most/2, min(most, limit-memoryMargin-rest))
}

// goLimit is what Go's runtime may take at the moment, in bytes.
func goLimit() int64 { return debug.SetMemoryLimit(-1) }

// goMemory is what Go's runtime holds of the machine's memory, in bytes.
func goMemory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// residentMemory is the process's resident set in bytes, where the system
// tells (proc_pid_statm(5)).
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

// gcPercent lets the heap grow to five times what is alive before it is
// collected: what is alive is little, and the memory limit is there to stop it.
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
}

const (
	// programMemory is what the program's own pages and SQLite's working
	// memory take beside caches and heap.
	programMemory = 24 << 20
	// reportMemory is what one large report takes while it is made.
	reportMemory = 24 << 20
)

// TakeMemory divides the memory limit and sets Go's part of it in the runtime.
func TakeMemory(cfg *Config) Budget {
	b := divide(int64(cfg.Memory.Limit), int64(cfg.Window.Memory))
	debug.SetMemoryLimit(b.Heap)
	return b
}

// divide shares out the memory limit: an eighth to SQLite's caches, what it is
// configured to take to the window, and a third each of what is left of the
// heap to reports and to connections.
func divide(limit, window int64) Budget {
	b := Budget{SQLite: limit / 8}
	b.Heap = limit - b.SQLite - programMemory
	b.Heavy = int(max(1, (b.Heap-window)/3/reportMemory))
	b.Connections = (b.Heap - window) / 3
	return b
}

// bundleMemory is what export and import have at the most: they hold a few
// batches and the windows of a compressor, and more would only be garbage.
const bundleMemory = 64 << 20

// TakeBundleMemory is TakeMemory for export and import.
func TakeBundleMemory(cfg *Config) Budget {
	b := divide(min(int64(cfg.Memory.Limit), bundleMemory), 0)
	debug.SetMemoryLimit(b.Heap)
	return b
}
