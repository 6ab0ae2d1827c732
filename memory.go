package main

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
func keepMemory(ctx context.Context, limit int64, b budget) error {
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
		debug.SetMemoryLimit(goShare(limit, resident-goMemory(), b.heap))
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
