package store

import "sync"

// recallBytes limits the cache of enrichments, to about what five reports of
// 750 vulnerabilities each look up.
const recallBytes = 6 << 20

// recall is a cache of the enrichments that were looked up last, because
// reports look up the same ones again and again: images share their bases, and
// are requested repeatedly. The view of an operation never changes, so nothing
// in the cache is ever wrong; the entries of older operations are replaced by
// those of newer ones.
type recall struct {
	mu sync.Mutex
	// Results are added to young. When it holds half of the limit, it becomes
	// old, and the previous old is dropped.
	young, old map[recallKey][]taggedEnrichment
	size       int // of young, in bytes
}

type recallKey struct {
	view
	tag string
}

// get returns the cached rows of tags, and the tags that are not cached.
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

// put adds all rows of tags in a view, possibly none.
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

// keep adds a tag's rows to young. mu is held.
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
