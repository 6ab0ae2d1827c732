package match

import "oriel/clair"

// Collector matches the packages of an index report with vulnerabilities that
// come one by one, in any order, and keeps those that affect a package. It finds
// the same as Report if it is given every vulnerability that Report could look
// up. It is for one goroutine.
type Collector struct {
	m    *matching
	kept []collected
}

// collected is a vulnerability with the verdict on its targets.
type collected struct {
	v *clair.Vulnerability
	verdict
}

// NewCollector returns an empty collector.
func NewCollector(index *clair.IndexReport) *Collector { return &Collector{m: newMatching(index)} }

// Add adds a vulnerability, and keeps it only if it affects a package or cannot
// be compared with one. The caller must not modify it afterwards.
func (c *Collector) Add(v *clair.Vulnerability) {
	if v.Package == nil {
		return
	}
	var of verdict
	for _, g := range c.m.groups {
		of.judge(v, g.targets[nameOf(v, g.ecosystem)])
	}
	if !of.empty() {
		c.kept = append(c.kept, collected{v, of})
	}
}

// Reset drops all vulnerabilities.
func (c *Collector) Reset() { c.kept = nil }

// Collected returns the result of several collectors of one index report. The
// same vulnerability may be in more than one of them.
func Collected(index *clair.IndexReport, all ...*Collector) *Result {
	m := newMatching(index)
	for _, c := range all {
		for _, k := range c.kept {
			m.take(k.v, k.verdict)
		}
	}
	m.sort()
	return m.result
}
