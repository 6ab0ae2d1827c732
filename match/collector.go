package match

import (
	"slices"

	"oriel/clair"
)

// Collector matches the packages of an index report with vulnerabilities that
// come one by one, in any order, and keeps those that affect one. It finds what
// Report finds where it is given all that Report could look up. It is for one
// goroutine.
type Collector struct {
	m    *matching
	kept []collected
}

// collected is a vulnerability with the targets it affects.
type collected struct {
	v    *clair.Vulnerability
	hits []owned
}

// NewCollector makes a collector that has seen nothing.
func NewCollector(index *clair.IndexReport) *Collector { return &Collector{m: newMatching(index)} }

// Add takes a vulnerability, and keeps it only where it affects a package. The
// caller does not change it afterwards.
func (c *Collector) Add(v *clair.Vulnerability) {
	if v.Package == nil {
		return
	}
	var hits []owned
	for _, g := range c.m.groups {
		for _, t := range g.targets[keyOf(v, g.ecosystem)] {
			if !t.meets(v) {
				continue
			}
			ok, err := t.affected(v)
			if err != nil {
				c.m.skip(err)
			}
			if ok {
				hits = append(hits, t)
			}
		}
	}
	if hits != nil {
		c.kept = append(c.kept, collected{v, hits})
	}
}

// Reset forgets what was added.
func (c *Collector) Reset() {
	c.kept = nil
	c.m.result.Skipped, c.m.result.SkippedSample = 0, nil
}

// Collected is what several collectors of one index report found together. The
// same vulnerability may be in more than one of them.
func Collected(index *clair.IndexReport, all ...*Collector) *Result {
	m := newMatching(index)
	for _, c := range all {
		m.result.Skipped += c.m.result.Skipped
		m.result.SkippedSample = append(m.result.SkippedSample, c.m.result.SkippedSample...)
		for _, k := range c.kept {
			m.take(k.v, k.hits)
		}
	}
	m.result.SkippedSample = slices.Clip(m.result.SkippedSample[:min(len(m.result.SkippedSample), sampleSize)])
	m.sort()
	return m.result
}
