package match

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"oriel/clair"
	"oriel/internal/finding"
)

// Counts are findings by severity.
type Counts [clair.Critical + 1]int64

// countRecords is the number of records that are looked up at once.
const countRecords = 500

// Count counts the findings of all manifests by severity: a vulnerability of a
// package counts once for each manifest that holds the package, whatever the
// number of its advisories (package finding), and once if it is known by the
// source of several binaries. Each package is judged once for all manifests.
// Versions that cannot be compared do not count.
func Count(ctx context.Context, src Source, packages iter.Seq2[clair.InstalledPackage, error]) (Counts, error) {
	var total Counts
	batch := make([]clair.InstalledPackage, 0, countRecords)
	for p, err := range packages {
		if err != nil {
			return total, fmt.Errorf("count findings: %w", err)
		}
		batch = append(batch, p)
		if len(batch) < countRecords {
			continue
		}
		if err := total.add(ctx, src, batch); err != nil {
			return total, err
		}
		batch = batch[:0]
	}
	return total, total.add(ctx, src, batch)
}

// add counts the findings of a batch.
func (n *Counts) add(ctx context.Context, src Source, batch []clair.InstalledPackage) error {
	m := newMatching(&clair.IndexReport{})
	byWhere, places := map[string]int{}, newPlacer()
	for i, p := range batch {
		for _, t := range places.targets(clair.Record{Package: p.Package, Dist: p.Dist, Repo: p.Repo}) {
			m.add(byWhere, owned{strconv.Itoa(i), t})
		}
	}
	found := make([][]*clair.Vulnerability, len(batch))
	i := 0
	for c, err := range src.Candidates(ctx, m.lookups, m.keep) {
		if err != nil {
			return fmt.Errorf("count findings: %w", err)
		}
		v := withoutTexts(c.Vulnerability)
		counted := map[string]bool{} // a record may be several targets
		for _, t := range m.kept[i].hits {
			if counted[t.id] {
				continue
			}
			counted[t.id] = true
			at, err := strconv.Atoi(t.id)
			if err != nil {
				return fmt.Errorf("count findings: %w", err)
			}
			found[at] = append(found[at], v)
		}
		m.kept[i] = verdict{}
		i++
	}
	for at, list := range found {
		for _, rows := range finding.Group(list) { // the most severe is first
			n[min(rows[0].NormalizedSeverity, clair.Critical)] += batch[at].Manifests
		}
	}
	return nil
}

// withoutTexts returns the part of a vulnerability that findings are grouped
// by: the vulnerabilities of a batch are in memory together.
func withoutTexts(v *clair.Vulnerability) *clair.Vulnerability {
	return &clair.Vulnerability{
		ID:                 v.ID,
		Name:               v.Name,
		Aliases:            v.Aliases,
		NormalizedSeverity: v.NormalizedSeverity,
	}
}
