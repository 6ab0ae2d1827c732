package store

import "sync"

// recallBytes bounds what is remembered of enrichments, about what five
// reports of 750 vulnerabilities each look up.
const recallBytes = 6 << 20

// recall remembers the enrichments that were looked up last, because reports
// look up the same ones over and over: images share their bases, and are asked
// about again. What an operation sees never changes, so nothing remembered of
// it is ever wrong; what was remembered of older operations goes as the new
// one's comes.
type recall struct {
	mu sync.Mutex
	// What is looked up gets into young. Once that holds half of all there
	// may be it becomes old, and what was old is forgotten.
	young, old map[recallKey][]taggedEnrichment
	size       int // of young, in bytes
}

type recallKey struct {
	view
	tag string
}

// get gives what is remembered of tags, and the tags of which nothing is.
func (r *recall) get(v view, tags []string) (rows []taggedEnrichment, unknown []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tag := range tags {
		k := recallKey{v, tag}
		list, ok := r.young[k]
		if !ok {
			if list, ok = r.old[k]; ok {
				r.keep(k, list)
			}
		}
		if !ok {
			unknown = append(unknown, tag)
		}
		rows = append(rows, list...)
	}
	return rows, unknown
}

// put remembers all rows that tags have in a view, which may be none.
func (r *recall) put(v view, tags []string, rows []taggedEnrichment) {
	byTag := make(map[string][]taggedEnrichment, len(tags))
	for _, row := range rows {
		byTag[row.tag] = append(byTag[row.tag], row)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tag := range tags {
		r.keep(recallKey{v, tag}, byTag[tag])
	}
}

// keep puts a tag's rows into young. mu is held.
func (r *recall) keep(k recallKey, rows []taggedEnrichment) {
	const entry, perRow = 160, 160 // what maps, slices and strings take, roughly
	size := entry + 2*len(k.tag)
	for _, row := range rows {
		size += perRow + len(row.tag) + cap(row.Enrichment)
		for _, t := range row.Tags {
			size += len(t) + 16
		}
	}
	if r.size += size; r.young == nil || r.size > recallBytes/2 {
		r.old, r.young, r.size = r.young, map[recallKey][]taggedEnrichment{}, size
	}
	r.young[k] = rows
}
